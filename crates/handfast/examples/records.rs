//! Records without any pairing: a device keeps them for itself.
//!
//! `cargo run -p handfast --example records -- FOLDER`

#![allow(clippy::print_stdout)]

use handfast::{Device, DeviceName, DeviceOptions, Error, Value};

fn main() -> handfast::Result<()> {
    let home = std::env::args().nth(1).unwrap_or_else(|| "example-device".into());
    let device = match Device::open(&home) {
        Err(Error::NoDevice(_)) => {
            Device::create(&home, DeviceName::new("example")?, DeviceOptions::default())?
        }
        opened => opened?,
    };
    let notes = device.records("notes")?;
    let id = notes.put_key("shopping", [("text", "milk")])?;
    notes.set(&id, "done", Value::bool(false))?;
    notes.each(|record| {
        println!("{} {}", record.id, record.fields.to_text());
        true
    })
}
