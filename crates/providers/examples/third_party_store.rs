//! Puts the client of Kubo's RPC before a node that somebody else has made:
//!
//! ```text
//! cargo run -p handfast-providers --example third_party_store -- http://127.0.0.1:5001
//! ```
//!
//! A token is taken from `HANDFAST_AUTH_TOKEN`. Ends with an error if a promise of a block store is
//! broken; says so too if the node takes no names.

use std::error::Error;
use std::time::Instant;

use handfast_providers::conformance::{block_store, name_router};
use handfast_providers::self_hosted::SelfHosted;
use handfast_providers::{BlockStore as _, Http, SecretText};

#[tokio::main(flavor = "current_thread")]
#[allow(clippy::print_stdout, reason = "somebody is looking")]
async fn main() -> Result<(), Box<dyn Error>> {
    let address = std::env::args().nth(1).ok_or("usage: third_party_store URL")?;
    let token = std::env::var("HANDFAST_AUTH_TOKEN").ok().map(SecretText::from);
    let node = SelfHosted::new(&address, token.as_ref(), &Http::new()?)?;
    let start = Instant::now();
    block_store(&node).await?;
    println!("blocks: {} conforms ({:?})", node.describe(), start.elapsed());
    name_router(&node).await?;
    println!("names: it conforms, too");
    Ok(())
}
