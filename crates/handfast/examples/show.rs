//! The device that shows a code.
//!
//! `cargo run -p handfast --example show -- FOLDER`, with a device in the folder that has a
//! provider.

#![allow(clippy::print_stdout)]

use std::io::BufRead;

use handfast::{Answer, Device, PairOptions, Question, Step};

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let device = Device::open(std::env::args().nth(1).unwrap_or_else(|| "example-device".into()))?;
    let mut pairing = device.pair(PairOptions::default()).await?;
    println!("{}", pairing.code().unwrap_or_default());
    while let Some(step) = pairing.next().await {
        match step {
            Step::Ask(Question::TypeCheckCode(peer)) => {
                println!("{} answers. Type the four words that it shows.", peer.name);
                pairing.answer(Answer::Typed(line()?));
            }
            Step::Ask(_) => {
                println!("That is not it. Once more.");
                pairing.answer(Answer::Typed(line()?));
            }
            Step::Show(code) => println!("Type {} on the other device.", code.back_digits()),
            _ => (),
        }
    }
    println!("Paired with {}.", pairing.finished().await?.name);
    Ok(())
}

fn line() -> std::io::Result<String> {
    std::io::stdin().lock().lines().next().unwrap_or_else(|| Ok(String::new()))
}
