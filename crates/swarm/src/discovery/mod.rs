//! Meeting peers: topics that are announced and looked up, and whom to dial when.
//!
//! | module | |
//! |---|---|
//! | `swarm`, `events` | what an application holds |
//! | `manager` | the one task that decides |
//! | `peers` | whom to dial, when; and which of two connections stays: no I/O, no clock |
//! | `topic` | announces and looks up one topic |

mod events;
mod manager;
mod options;
mod peers;
mod swarm;
mod topic;

pub use events::{Events, SwarmEvent};
pub use options::{Backoff, JoinOptions, Limits, SwarmOptions};
pub use swarm::{Discovery, Swarm, SwarmError};
