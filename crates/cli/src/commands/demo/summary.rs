//! The figures with which the demo ends.

use std::time::{Duration, Instant};

use anyhow::Result;
use handfast::Device;
use serde::Serialize;

/// What the demo has done, in figures.
#[derive(Debug, Default)]
pub struct Summary {
    /// What each of the first two devices brought.
    pub brought: Vec<(String, u64)>,
    /// Conflicts that arose, and were decided.
    pub conflicts: u64,
    devices: Vec<DeviceSummary>,
    phases: Vec<(&'static str, Duration)>,
    running: Option<(&'static str, Instant)>,
}

#[derive(Debug, Serialize)]
struct DeviceSummary {
    name: String,
    records: u64,
    content_hash: String,
    requests: u64,
    bytes_sent: u64,
    bytes_received: u64,
}

impl Summary {
    /// Begins a phase, and ends the one before.
    pub fn begin(&mut self, phase: &'static str) {
        self.end();
        self.running = Some((phase, Instant::now()));
    }

    /// Ends the last phase.
    pub fn end(&mut self) {
        if let Some((phase, begun)) = self.running.take() {
            self.phases.push((phase, begun.elapsed()));
        }
    }

    /// Adds a device as it is in the end.
    pub fn add(&mut self, device: &Device) -> Result<()> {
        let traffic = device.traffic();
        self.devices.push(DeviceSummary {
            name: device.name()?.to_string(),
            records: device.record_count()?,
            content_hash: device.content_hash()?.to_string(),
            requests: traffic.requests,
            bytes_sent: traffic.sent,
            bytes_received: traffic.received,
        });
        Ok(())
    }

    /// Whether all devices hold the same.
    pub fn equal(&self) -> bool {
        self.devices
            .windows(2)
            .all(|pair| matches!(pair, [a, b] if a.content_hash == b.content_hash))
    }

    /// For people.
    pub fn to_text(&self) -> String {
        let mut text =
            String::from("\n  device   brought  records  requests     sent  received  content");
        for device in &self.devices {
            let brought = self.brought.iter().find(|(name, _)| *name == device.name);
            text.push_str(&format!(
                "\n  {:<8} {:>7} {:>8} {:>9} {:>8} {:>9}  {}…",
                device.name,
                brought.map_or(0, |(_, records)| *records),
                device.records,
                device.requests,
                kilobytes(device.bytes_sent),
                kilobytes(device.bytes_received),
                device.content_hash.chars().take(12).collect::<String>(),
            ));
        }
        let phases: Vec<String> = self
            .phases
            .iter()
            .map(|(phase, time)| format!("{phase} {:.2} s", time.as_secs_f64()))
            .collect();
        let verdict = if self.equal() { "All three hold the same." } else { "They differ!" };
        text.push_str(&format!(
            "\n\n  {} conflicts arose and were decided\n  {}\n\n{verdict}",
            self.conflicts,
            phases.join(", ")
        ));
        text
    }

    /// For machines.
    pub fn to_json(&self) -> serde_json::Value {
        let phases: serde_json::Map<_, _> = self
            .phases
            .iter()
            .map(|(phase, time)| ((*phase).to_owned(), (time.as_millis() as u64).into()))
            .collect();
        serde_json::json!({
            "type": "summary",
            "brought": self.brought.iter().cloned().collect::<std::collections::BTreeMap<_, _>>(),
            "conflicts": self.conflicts,
            "devices": self.devices,
            "phases_ms": phases,
            "equal": self.equal(),
        })
    }
}

fn kilobytes(bytes: u64) -> String {
    format!("{} kB", bytes.div_ceil(1_000))
}
