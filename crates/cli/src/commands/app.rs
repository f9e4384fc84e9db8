//! Pairing for apps, without a device. `--profile app`: all structures of two apps, for the writers of
//! all of them. What this and `--profile raw` have in common is here, too.
//!
//! | module | |
//! |---|---|
//! | [`member`], [`candidate`] | the two sides of `--profile app` |
//! | [`structures`] | what an app says about its structures |
//! | [`keys`] | the keys that are handed over in both profiles |
//! | [`inviting`], [`answering`] | an invite from its beginning to its end, in both profiles |
//! | [`desk`], [`dialogue`] | what the library asks of the app and its people, and their answers |
//! | [`session`] | the network, and a manager over it |

pub mod answering;
pub mod candidate;
pub mod desk;
pub mod dialogue;
pub mod inviting;
pub mod keys;
pub mod member;
pub mod session;
mod structures;
mod words;

use handfast_pairing_manager::DeviceName;

use crate::commands::init::machine_name;
use crate::report::CliError;

/// What this side calls itself.
pub fn name(given: Option<&str>) -> Result<DeviceName, CliError> {
    match given {
        Some(name) => Ok(DeviceName::new(name).map_err(handfast::Error::from)?),
        None => machine_name(),
    }
}
