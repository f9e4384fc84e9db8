//! An invite of either profile, from its beginning to its end.

use std::sync::Arc;
use std::time::Duration;

use handfast_pairing_manager::{
    DeviceName, Error, InviteInfo, InviteRequest, MemberHandle, MemberSetup, PairingManager, Person,
};
use serde_json::json;
use tokio::time::Instant;

use super::desk::Desk;
use super::dialogue::Dialogue;
use crate::report::wording::count;
use crate::report::{CliError, Report};

/// An invite, and who makes it.
pub struct Inviting<'a> {
    /// What is handed over, and how.
    pub request: InviteRequest,
    /// The profile's name on the command line.
    pub profile: &'static str,
    /// Whether an invite in the journal may be gone on with.
    pub is_own: &'a dyn Fn(&InviteInfo) -> bool,
    /// Whether there is a journal.
    pub lasts: bool,
    /// What this side calls itself.
    pub name: DeviceName,
    /// Who is asked.
    pub desk: Desk,
}

impl Inviting<'_> {
    /// Lets somebody in: by the invite that is open in the journal, or by a new one.
    pub async fn hold(
        self,
        manager: &PairingManager,
        dialogue: &mut Dialogue<'_>,
        report: &Report,
    ) -> Result<(), CliError> {
        let mut current = None;
        for info in manager.invites()?.into_iter().filter(self.is_own) {
            match info.ended {
                // Who comes late, or has not heard the answer, is still told.
                Some(_) => _ = self.set_up(manager, &info).await?,
                None => current = Some(info),
            }
        }
        let compares = self.request.verify.is_some();
        if compares && current.as_ref().is_some_and(|info| info.verifies == Some(false)) {
            return Err(CliError::usage(
                "the invite that is open in this journal was made without --compare: leave it out, \
                 or make another one with another journal",
            ));
        }
        let lifetime = self.request.options.lifetime;
        let (info, expires) = match current {
            Some(info) => (info, None),
            None => (self.make(manager).await?, Some(Instant::now() + lifetime)),
        };
        let member = self.set_up(manager, &info).await?;
        self.show(&info, expires.is_some(), report)?;
        let finished = dialogue.until(member.finished(), || match expires {
            Some(at) => {
                let left = at.saturating_duration_since(Instant::now()).as_secs();
                format!("Waiting for an answer ({}:{:02} left)", left / 60, left % 60)
            }
            None => "Waiting for an answer".to_owned(),
        });
        Ok(finished.await??)
    }

    async fn make(&self, manager: &PairingManager) -> Result<InviteInfo, CliError> {
        let made = manager.create_invite_with(self.request.clone()).await?;
        let info = manager.invites()?.into_iter().find(|info| info.invite == made.invite);
        Ok(info.ok_or(Error::UnknownInvite)?)
    }

    /// Lets candidates answer an invite.
    async fn set_up(
        &self,
        manager: &PairingManager,
        info: &InviteInfo,
    ) -> Result<MemberHandle, CliError> {
        let person: Arc<dyn Person> = Arc::new(self.desk.clone());
        let setup = MemberSetup {
            // Where the app meets its peers once they are paired is its own affair.
            primary_discovery_key: info.discovery_key,
            invite: info.invite.clone(),
            username: self.name.clone(),
            on_paired: self.desk.on_paired(),
            person: Some(person),
        };
        Ok(manager.setup_member(setup).await?)
    }

    fn show(&self, info: &InviteInfo, is_new: bool, report: &Report) -> Result<(), CliError> {
        let (ink, profile) = (report.ink(), self.profile);
        match &info.invite_code {
            Some(code) => report.say(format_args!(
                "Give this invite to the app that is to join, or to `handfast join --profile \
                 {profile}`:\n\n{}\n",
                ink.bold(code)
            ))?,
            None => report.say("Going on with somebody who has answered the invite.")?,
        }
        if is_new {
            report.say(ink.dim(format_args!(
                "It lives for {} and lets in one: whoever has it, and is first{}. Ctrl-C {}.",
                lasting(self.request.options.lifetime),
                if self.request.verify.is_some() { ", once both have compared" } else { "" },
                if self.lasts { "leaves it open" } else { "ends it" },
            )))?;
        }
        report.json(json!({
            "type": "invite",
            "invite_code": info.invite_code,
            "invite_id": info.invite.id().to_string(),
            "discovery_key": info.discovery_key.to_string(),
        }))
    }
}

/// A time in words: `10 minutes`.
fn lasting(time: Duration) -> String {
    match time.as_secs() {
        seconds if seconds % 3_600 == 0 => count(seconds / 3_600, "hour"),
        seconds if seconds % 60 == 0 => count(seconds / 60, "minute"),
        seconds => count(seconds, "second"),
    }
}
