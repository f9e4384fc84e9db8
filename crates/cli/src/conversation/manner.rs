//! How a pairing is held, and what becomes of one that was interrupted.

use handfast::{Consent, Device, Pairing};
use serde_json::json;

use crate::report::{CliError, Exit, Report};

/// How a pairing is held: what showing a code and answering one have in common.
#[derive(Debug, clap::Args)]
pub struct Manner {
    /// The version of the protocol. Version 1 only speaks with what knows no other: whoever sees
    /// its code can pretend to be either device
    #[arg(long, value_name = "1|2", default_value = "2", hide_default_value = true,
          value_parser = clap::value_parser!(u8).range(1..=2))]
    protocol: u8,
    /// Show the emojis on both devices and ask yes or no on both, instead of typing them
    #[arg(long)]
    compare: bool,
    /// For scripts: nobody looks whether it is the right device
    #[arg(long, conflicts_with = "compare")]
    yes: bool,
    /// Go on with a pairing that was interrupted, on whichever side
    #[arg(long, conflicts_with_all = ["protocol", "compare", "yes"])]
    pub resume: bool,
    /// Drop a pairing that was interrupted
    #[arg(long, conflicts_with_all = ["protocol", "compare", "yes", "resume"])]
    pub cancel: bool,
}

impl Manner {
    /// Whether anything was said about it.
    pub fn is_said(&self) -> bool {
        self.is_literal() || self.compare || self.yes || self.resume || self.cancel
    }

    /// Whether all that was said is that both people see the emojis.
    pub fn only_compares(&self) -> bool {
        self.compare && !self.is_literal()
    }

    /// Whether it is version 1.
    pub fn is_literal(&self) -> bool {
        self.protocol == 1
    }

    /// How the person confirms.
    pub fn consent(&self) -> Consent {
        match (self.compare, self.yes) {
            (true, _) => Consent::Compare,
            (_, true) => Consent::Unseen,
            _ => Consent::Typed,
        }
    }

    /// Says what is less safe than it could be.
    pub fn warn(&self, report: &Report) {
        if self.yes {
            report.warn(
                "nobody looks whether this is the right device (--yes): somebody who saw the code \
                 could be in its place",
            );
        }
        if self.is_literal() {
            report.warn(
                "version 1 of the protocol: whoever sees the code can pretend to be either device, \
                 whatever the emojis say",
            );
        }
    }
}

/// Drops a pairing that was interrupted.
pub async fn cancel(device: &Device, report: &Report) -> Result<(), CliError> {
    let cancelled = device.cancel_pairing().await?;
    if cancelled {
        report.say("The pairing was dropped.")?;
        report.hint("If both sides had confirmed, the other device may count it as done.");
    } else {
        report.say("There is no pairing to drop.")?;
    }
    report.json(json!({ "type": "cancelled", "cancelled": cancelled }))
}

/// The pairing that was interrupted.
pub async fn resumed(device: &Device) -> Result<Pairing, CliError> {
    device.resume_pairing().await?.ok_or_else(|| {
        CliError::new("no_pairing", Exit::NotFound, "there is no pairing to go on with")
            .hint("Begin one with `handfast pair` or `handfast join`.")
    })
}
