//! A paired device that stays in step and tells what happens.
//!
//! `cargo run -p handfast --example watch -- FOLDER`

#![allow(clippy::print_stdout)]

use handfast::{Device, Event};

#[tokio::main]
async fn main() -> handfast::Result<()> {
    let device = Device::open(std::env::args().nth(1).unwrap_or_else(|| "example-device".into()))?;
    let mut events = device.events();
    let _in_step = device.watch()?;
    while let Some(event) = events.next().await {
        match event {
            Event::RecordsChanged { collection, records } => {
                println!("{collection}: {records} changed")
            }
            Event::DeviceAdded { name, .. } => println!("{name} belongs to us now"),
            Event::Conflicts { collection, .. } => println!("{collection}: somebody must decide"),
            _ => (),
        }
    }
    Ok(())
}
