//! One pairing, from the invite to the first data.

use std::sync::Arc;
use std::time::Duration;

use handfast_pairing::qr::Consent;
use handfast_pairing_manager::{
    DiscoveryKey, InviteHandle, Join, MemberSetup, PairingManager, Person, on_paired,
};
use handfast_ring::Identity;
use tokio::sync::mpsc;
use tokio::time::{self, Instant};

use super::admission;
use super::person::Desk;
use super::structures::Structures;
use crate::device::Inner;
use crate::error::{Error, Result};
use crate::events::{Event, Events};
use crate::home::SyncLock;
use crate::pairing::{Answer, Paired, Pairing, Step};
use crate::store::{meta, peers};
use crate::sync;

/// How long the other device's data are waited for while no road leads to it.
const NO_ROAD: Duration = Duration::from_secs(30);

/// How long it is waited for that the other device has everything, too.
const COURTESY: Duration = Duration::from_secs(10);

/// Which side this is.
pub enum Act {
    /// Answers whoever has the invite.
    Invite(InviteHandle),
    /// Joins with a code, and how the person confirms.
    Join(String, Consent),
}

/// Begins.
pub fn start(
    device: Arc<Inner>,
    lock: SyncLock,
    manager: PairingManager,
    act: Act,
    code: Option<String>,
) -> Result<Pairing> {
    let (steps, steps_out) = mpsc::unbounded_channel();
    let (answers, answers_out) = mpsc::unbounded_channel();
    let session =
        Session { device, _lock: lock, manager, desk: Arc::new(Desk::new(steps.clone())), steps };
    let task = tokio::spawn(session.run(act, answers_out));
    Ok(Pairing::new(code, steps_out, answers, task))
}

struct Session {
    device: Arc<Inner>,
    _lock: SyncLock,
    manager: PairingManager,
    desk: Arc<Desk>,
    steps: mpsc::UnboundedSender<Step>,
}

impl Session {
    async fn run(self, act: Act, mut answers: mpsc::UnboundedReceiver<Answer>) -> Result<Paired> {
        let _door = self.device.live.open_door();
        let mut events = self.device.bus.subscribe();
        let introduced = self.introduced(&act, &mut answers, &mut events).await;
        self.manager.close().await;
        let peer = match introduced {
            Ok(()) => self.peer()?,
            Err(error) => {
                if matches!(error, Error::Invite(handfast_pairing_manager::Error::Pairing(_))) {
                    admission::undo(&self.device)?;
                    self.device.store.write(|tx| meta::INVITE.clear(tx))?;
                }
                return Err(error);
            }
        };
        self.step(Step::Exchanging(peer.name.clone()));
        self.exchange(&peer, events).await?;
        self.device.store.write(|tx| meta::INVITE.clear(tx))?;
        Ok(Paired { id: peer.device_id(), name: peer.name })
    }

    /// Until both devices have admitted each other.
    async fn introduced(
        &self,
        act: &Act,
        answers: &mut mpsc::UnboundedReceiver<Answer>,
        events: &mut Events,
    ) -> Result<()> {
        let introduced = self.introduce(act);
        tokio::pin!(introduced);
        loop {
            tokio::select! {
                done = &mut introduced => return done,
                Some(answer) = answers.recv() => {
                    let no = answer == Answer::No;
                    if !self.desk.answer(answer) && no {
                        self.give_up(act).await?;
                    }
                }
                Some(event) = events.next() => self.tell(event),
            }
        }
    }

    async fn introduce(&self, act: &Act) -> Result<()> {
        let username = self.device.store.read(|tx| meta::NAME.get(tx))?;
        let person: Arc<dyn Person> = self.desk.clone();
        match act {
            Act::Invite(invite) => {
                let feed = self.device.store.read(|tx| meta::FEED_KEYS.get(tx))?;
                let member = self.manager.setup_member(MemberSetup {
                    primary_discovery_key: DiscoveryKey::from_bytes(*feed.topic().as_bytes()),
                    invite: invite.clone(),
                    username,
                    on_paired: on_paired(|_| async {}),
                    person: Some(person),
                });
                member.await?.finished().await?;
            }
            Act::Join(code, consent) => {
                let join = self.manager.join_with_invite(Join {
                    invite_code: code.clone(),
                    store: Arc::new(Structures(self.device.clone())),
                    username,
                    person: Some((person, *consent)),
                    insist: false,
                });
                join.await?;
            }
        }
        Ok(())
    }

    /// The person says no before being asked anything.
    async fn give_up(&self, act: &Act) -> Result<()> {
        match act {
            Act::Invite(invite) => match self.manager.revoke(invite).await {
                // It is too late: the other device is being let in.
                Err(handfast_pairing_manager::Error::Used) => (),
                revoked => revoked?,
            },
            Act::Join(code, _) => self.manager.leave(code).await?,
        }
        Ok(())
    }

    /// Whom this device has admitted in this pairing.
    fn peer(&self) -> Result<Identity> {
        let (session, ring) =
            self.device.store.read(|tx| Ok((meta::INVITE.get(tx)?, meta::RING.get(tx)?)))?;
        let admitted = |id| ring.admissions().iter().find(|it| it.id().as_bytes() == id);
        let admission = session.admission.as_ref().and_then(|id| admitted(id.as_bytes()));
        Ok(admission.ok_or(Error::Damaged("invite"))?.device().clone())
    }

    /// Until this device has everything that the other one has published, and the other one
    /// everything of this one: but not for ever, since they may not be online together.
    async fn exchange(&self, peer: &Identity, mut events: Events) -> Result<()> {
        let id = peer.device_id();
        let (begun, mut has_ours) = (Instant::now(), false);
        loop {
            let report = self.round(&mut events).await?;
            has_ours |= report.in_step.contains(&id);
            let imported = self.device.store.read(|tx| peers::get(tx, &id))?.imported;
            let connected = self.device.live.connected().contains(&id);
            let patience = match (imported, has_ours) {
                (true, true) => return Ok(()),
                (true, false) => Some(COURTESY),
                (false, _) if connected => None,
                (false, _) => Some(NO_ROAD),
            };
            if let Some(trouble) = report.trouble.into_iter().next() {
                self.step(Step::Trouble(trouble));
            }
            let wait = sync::wait(&self.device);
            match patience {
                None => wait.await,
                Some(patience) => {
                    if time::timeout_at(begun + patience, wait).await.is_err() {
                        if !imported {
                            self.step(Step::Trouble(format!(
                                "{} cannot be reached now. Its data come when both are online at \
                                 the same time, or by a provider",
                                peer.name
                            )));
                        }
                        return Ok(());
                    }
                }
            }
        }
    }

    /// A round of synchronisation whose progress is shown.
    async fn round(&self, events: &mut Events) -> Result<sync::SyncReport> {
        let round = sync::round(&self.device);
        tokio::pin!(round);
        loop {
            tokio::select! {
                report = &mut round => return report,
                Some(event) = events.next() => self.tell(event),
            }
        }
    }

    fn tell(&self, event: Event) {
        match event {
            Event::Progress(progress) => self.step(Step::Progress(progress)),
            Event::Trouble { message } => self.step(Step::Trouble(message)),
            _ => (),
        }
    }

    fn step(&self, step: Step) {
        // Nobody may be looking.
        let _ = self.steps.send(step);
    }
}
