//! Meeting peers: topics that are announced and looked up, and whom to dial when.
//!
//! | module | |
//! |---|---|
//! | `swarm`, `joined`, `events` | what an application holds |
//! | `shared` | what that and the tasks share |
//! | `manager` | the one task that decides |
//! | `peers` | whom to dial, when; and which of two connections stays: no I/O, no clock |
//! | `surroundings` | whether the machine has slept or moved |
//! | `topics` | what is announced and looked up, when: no I/O, no clock |
//! | `rounds` | the one task that does it |
//! | `reach` | the one task that keeps nodes which know the way to this side |

mod events;
mod joined;
mod manager;
mod options;
mod peers;
mod reach;
mod rounds;
mod shared;
mod surroundings;
mod swarm;
mod topics;

pub use events::{Events, SwarmEvent};
pub use joined::Discovery;
pub use options::{Backoff, JoinOptions, Limits, SwarmOptions};
pub use swarm::{Swarm, SwarmError};
