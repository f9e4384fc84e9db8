//! The device that scans a code.
//!
//! `cargo run -p handfast --example scan -- FOLDER CODE`

#![allow(clippy::print_stdout)]

use std::io::BufRead;

use handfast::{Answer, Device, JoinOptions, Question, Step};

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let device = Device::open(arguments.next().unwrap_or_else(|| "example-device".into()))?;
    let code = arguments.next().ok_or("the code is missing")?;
    let mut pairing = device.join(&code, JoinOptions::default()).await?;
    while let Some(step) = pairing.next().await {
        match step {
            Step::Ask(Question::TypeBackDigits(peer, code)) => {
                let words = code.emojis().emojis().map(|emoji| emoji.word).join(" ");
                println!("Type on {}: {words}. Then type the two digits that it shows.", peer.name);
                pairing.answer(Answer::Typed(line()?));
            }
            Step::Ask(_) => {
                println!("That is not it. Once more.");
                pairing.answer(Answer::Typed(line()?));
            }
            _ => (),
        }
    }
    println!("Paired with {}.", pairing.finished().await?.name);
    Ok(())
}

fn line() -> std::io::Result<String> {
    std::io::stdin().lock().lines().next().unwrap_or_else(|| Ok(String::new()))
}
