//! Decides every conflict for what this device wrote.
//!
//! `cargo run -p handfast --example conflicts -- FOLDER`

#![allow(clippy::print_stdout)]

use handfast::{Choice, Device, Pick};

fn main() -> handfast::Result<()> {
    let device = Device::open(std::env::args().nth(1).unwrap_or_else(|| "example-device".into()))?;
    for conflict in device.conflicts()? {
        for field in &conflict.fields {
            let choice = match field.field.as_str() {
                "$deleted" => Choice::Keep,
                _ => Choice::Value(Pick::Mine),
            };
            device.resolve(&conflict.collection, &conflict.record.id, &field.field, choice)?;
            println!("{} {}: kept ours", conflict.record.id, field.field);
        }
    }
    Ok(())
}
