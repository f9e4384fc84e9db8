//! `handfast sync`: one round of synchronisation, or one after the other.

use handfast::{Device, Event, SyncReport, Totals, Work};
use serde_json::{Value, json};

use crate::home::Home;
use crate::network::Network;
use crate::prompt::Interrupt;
use crate::report::wording::{count, line, number};
use crate::report::{Bars, CliError, Exit, Report};

/// How to sync.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  handfast sync
  handfast sync --watch           until Ctrl-C
  handfast sync --watch --json    one event a line

While it stays in step, other devices that do so too are asked directly, over the network that --dht
names. What is edited on one is on the other at once then, even where there is no provider.")]
pub struct Args {
    /// Stay in step until Ctrl-C, and say what happens
    #[arg(long)]
    watch: bool,
    #[command(flatten)]
    network: Network,
}

/// Runs it.
pub async fn run(args: Args, home: &Home, report: &Report) -> Result<(), CliError> {
    let device = home.open()?;
    if !device.is_paired()? {
        report.say("This device knows no other one: there is nobody to be in step with.")?;
        report.hint("`handfast pair` introduces it to one.");
        return report.json(match args.watch {
            true => json!({ "type": "not_paired" }),
            false => to_json(false, &SyncReport::default(), device.traffic()),
        });
    }
    if args.watch {
        watch(&device, &args.network, report).await
    } else {
        once(&device, report).await
    }
}

async fn once(device: &Device, report: &Report) -> Result<(), CliError> {
    let mut events = device.events();
    let mut bars = Bars::new(report);
    let mut worth_telling = Vec::new();
    let mut note = |event, bars: &mut Bars| match event {
        Event::Progress(progress) => bars.update(progress),
        Event::DeviceAdded { .. } | Event::Forked { .. } | Event::WrongSnapshot { .. } => {
            worth_telling.push(event);
        }
        _ => {}
    };
    let round = device.sync();
    tokio::pin!(round);
    let synced = loop {
        tokio::select! {
            synced = &mut round => break synced,
            Some(event) = events.next() => note(event, &mut bars),
        }
    };
    while let Some(event) = events.try_next() {
        note(event, &mut bars);
    }
    bars.clear();
    let synced = synced.map_err(|error| match error {
        handfast::Error::NoProvider => CliError::from(error).hint(
            "Set one with `handfast provider set`; or run `handfast sync --watch` on both devices \
             at a time, which needs none.",
        ),
        error => error.into(),
    })?;
    for told in worth_telling.iter().filter_map(told) {
        report.say(told)?;
    }
    report.say(summary(&synced))?;
    if synced.conflicts > 0 {
        report.hint("`handfast conflicts` lists what is in conflict.");
    }
    report.json(to_json(true, &synced, device.traffic()))?;
    let Some((first, others)) = synced.trouble.split_first() else { return Ok(()) };
    for trouble in others {
        report.warn(trouble);
    }
    Err(CliError::new("sync_trouble", Exit::Provider, first.as_str())
        .hint("What did not work is tried again at the next sync; nothing is lost."))
}

fn summary(synced: &SyncReport) -> String {
    let mut facts = Vec::new();
    if synced.mutations > 0 {
        facts.push(format!(
            "{} came from {}: {} changed.",
            count(synced.mutations, "change"),
            count(synced.news_from, "device"),
            count(synced.records, "record"),
        ));
    }
    if synced.conflicts > 0 {
        facts.push(format!("{} in conflict now.", count(synced.conflicts, "record")));
    }
    if let Some(sequence) = synced.published {
        facts.push(format!("Published as number {}.", number(sequence)));
    }
    if facts.is_empty() { "Nothing is new.".to_owned() } else { facts.join(" ") }
}

async fn watch(device: &Device, network: &Network, report: &Report) -> Result<(), CliError> {
    let mut interrupt = Interrupt::listen()?;
    let mut events = device.events();
    let online = match network.options()? {
        Some(_) => Some(network.go_online(device, report).await?),
        None => None,
    };
    let watch = device.watch()?;
    let mut bars = Bars::new(report);
    report.say("Staying in step; Ctrl-C ends it.")?;
    report.json(json!({ "type": "watching" }))?;
    loop {
        let event = tokio::select! {
            () = interrupt.next() => break,
            event = events.next() => event,
        };
        let Some(event) = event else { break };
        if let Event::Progress(progress) = event {
            bars.update(progress);
        } else {
            bars.clear();
        }
        match &event {
            Event::Trouble { message } if !report.is_json() => report.warn(message),
            event => {
                if let Some(told) = told(event) {
                    report.say(told)?;
                }
            }
        }
        report.json(event_json(&event))?;
    }
    bars.clear();
    watch.stop().await;
    if let Some(online) = online {
        // A second Ctrl-C need not wait for peers that are fetching something.
        tokio::select! {
            () = online.close() => (),
            () = interrupt.next() => (),
        }
    }
    report.say("Stopped.")?;
    report.json(json!({ "type": "stopped" }))
}

/// What people read of an event.
fn told(event: &Event) -> Option<String> {
    Some(match event {
        Event::RecordsChanged { collection, records } => {
            format!("{}: {} changed", line(collection), count(*records, "record"))
        }
        Event::Conflicts { collection, records } => {
            let records = count(*records, "record");
            format!("{}: {records} in conflict, see `handfast conflicts`", line(collection))
        }
        Event::DeviceAdded { name, by: Some(by), .. } => format!("{by} added {name}"),
        Event::DeviceAdded { name, by: None, .. } => format!("{name} was added"),
        Event::Connected { name } => format!("{name} is online too"),
        Event::Disconnected { name } => format!("{name} went offline"),
        Event::Published { sequence } => format!("published as number {}", number(*sequence)),
        Event::Forked { name, collection } => format!(
            "{name} was copied or restored: its changes of {} exist twice, and both are kept",
            line(collection),
        ),
        Event::WrongSnapshot { name, collection } => format!(
            "{name} published a snapshot of {} that its logs contradict; the logs count here",
            line(collection),
        ),
        Event::NewIncarnation => {
            "this device was copied or restored; it goes on with new writer keys".to_owned()
        }
        _ => return None,
    })
}

fn event_json(event: &Event) -> Value {
    match event {
        Event::Progress(progress) => progress_json(progress),
        Event::RecordsChanged { collection, records } => {
            json!({ "type": "records_changed", "collection": collection, "records": records })
        }
        Event::Conflicts { collection, records } => {
            json!({ "type": "conflicts", "collection": collection, "records": records })
        }
        Event::DeviceAdded { device, name, by } => json!({
            "type": "device_added",
            "id": device.to_string(),
            "name": name.as_str(),
            "by": by.as_ref().map(|by| by.as_str()),
        }),
        Event::Connected { name } => json!({ "type": "connected", "name": name.as_str() }),
        Event::Disconnected { name } => json!({ "type": "disconnected", "name": name.as_str() }),
        Event::Published { sequence } => json!({ "type": "published", "sequence": sequence }),
        Event::Forked { name, collection } => {
            json!({ "type": "forked", "name": name.as_str(), "collection": collection })
        }
        Event::WrongSnapshot { name, collection } => {
            json!({ "type": "wrong_snapshot", "name": name.as_str(), "collection": collection })
        }
        Event::NewIncarnation => json!({ "type": "new_incarnation" }),
        Event::Trouble { message } => json!({ "type": "trouble", "message": message }),
        _ => json!({ "type": "other" }),
    }
}

/// Progress, for programs.
pub fn progress_json(progress: &handfast::Progress) -> Value {
    let work = match progress.work {
        Work::Sealing => "sealing",
        Work::Uploading => "uploading",
        Work::Loading => "loading",
        Work::Importing => "importing",
    };
    json!({ "type": "progress", "work": work, "done": progress.done, "total": progress.total })
}

fn to_json(paired: bool, synced: &SyncReport, traffic: Totals) -> Value {
    json!({
        "paired": paired,
        "published": synced.published,
        "news_from": synced.news_from,
        "mutations": synced.mutations,
        "records": synced.records,
        "conflicts": synced.conflicts,
        "trouble": synced.trouble,
        "requests": traffic.requests,
        "bytes_sent": traffic.sent,
        "bytes_received": traffic.received,
    })
}
