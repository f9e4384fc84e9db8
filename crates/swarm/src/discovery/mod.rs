//! Meeting peers: topics that are announced and looked up, and whom to dial when.
//!
//! | module | |
//! |---|---|
//! | `swarm`, `events` | what an application holds |
//! | `manager` | the one task that decides |
//! | `peers` | whom to dial, when; and which of two connections stays: no I/O, no clock |
//! | `surroundings` | whether the machine has slept or moved |
//! | `topics` | what is announced and looked up, when: no I/O, no clock |
//! | `rounds` | the one task that does it |

mod events;
mod manager;
mod options;
mod peers;
mod rounds;
mod surroundings;
mod swarm;
mod topics;

pub use events::{Events, SwarmEvent};
pub use options::{Backoff, JoinOptions, Limits, SwarmOptions};
pub use swarm::{Discovery, Swarm, SwarmError};
