//! The self-hosted provider: blocks, names and the Kubo RPC subset over HTTP.
//!
//! One program for a family's always-on machine, for demos and for tests. It keeps blocks for whom
//! it knows by a token, and the newest record of any name for everybody; what they mean it cannot
//! read. All it knows is in one directory:
//!
//! ```text
//! blocks/<shard>/<cid>      the block, verified whenever it is read
//! pins/<account>.log        what the account pins; remove it to let all of it go
//! records/<shard>/<name>    the newest record of the name
//! tmp/                      files that are being written
//! lock                      held while a host is running
//! ```
//!
//! [`Host`] starts it and [`RunningHost`] stops it; [`Limits`] says how much it takes on.

mod accounts;
mod blocks;
mod connection;
mod files;
mod limits;
mod records;
mod routes;
mod server;
mod tokens;

pub use blocks::Collected;
pub use limits::Limits;
pub use server::{Host, HostError, OpenHost, RunningHost};
pub use tokens::TokenError;
