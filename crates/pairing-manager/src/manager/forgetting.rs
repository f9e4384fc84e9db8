//! Sessions that nobody carries out come to their end, too, and are forgotten.

use std::time::Duration;

use handfast_keys::Timestamp;
use handfast_pairing::invite::{Candidate, Input, Machine, Member};
use rand::rngs::StdRng;

use super::sessions::Sessions;
use crate::clock::rng;
use crate::driver::Context;
use crate::journal::{Journal, JournalError, Kind, Row, Settled};

/// How often it is looked.
const PERIOD: Duration = Duration::from_secs(3_600);

/// How much later than due a session is ended here: if another process carries it out, that one
/// does so itself, and is not disturbed.
const GRACE_MILLIS: u64 = 120_000;

/// Ends and forgets again and again, until the manager is closed.
pub(super) async fn forget(context: Context, sessions: Sessions) {
    while context.over.run_until_cancelled(tokio::time::sleep(PERIOD)).await.is_some() {
        let (journal, sessions, now) =
            (context.journal.clone(), sessions.clone(), context.clock.now());
        let swept = tokio::task::spawn_blocking(move || sweep(&journal, &sessions, now)).await;
        if let Ok(Err(error)) = swept {
            tracing::warn!(%error, "what is over is not forgotten yet");
        }
    }
}

/// Ends every session whose time was up before `now`, and forgets those that have been over for two
/// days. What is carried out in this process sees to that itself.
pub(super) fn sweep(
    journal: &Journal,
    sessions: &Sessions,
    now: Timestamp,
) -> Result<(), JournalError> {
    let (now, mut rng) = (Timestamp(now.0.saturating_sub(GRACE_MILLIS)), rng());
    let carried_out = sessions.lock();
    for kind in [Kind::Member, Kind::Candidate] {
        let rows = journal.all(kind)?.into_iter();
        let resting = rows.filter(|row| !carried_out.contains_key(&(kind, row.id)));
        let settled = resting.filter_map(|row| settle(kind, row, now, &mut rng)).collect();
        journal.settle(kind, settled)?;
    }
    Ok(())
}

/// What becomes of a session as time passes. (Another version's is left to that version.)
fn settle(kind: Kind, row: Row, now: Timestamp, rng: &mut StdRng) -> Option<Settled> {
    let mut machine = match kind {
        Kind::Member => Machine::Member(Member::resume(&row.session, None, now, rng).ok()?),
        Kind::Candidate => Machine::Candidate(Candidate::resume(&row.session, now, rng).ok()?),
    };
    let is_due = elapse(&mut machine, now, rng);
    let is_forgotten = match &machine {
        Machine::Member(member) => member.is_forgotten(),
        Machine::Candidate(candidate) => candidate.is_forgotten(now),
    };
    match (is_forgotten, is_due) {
        (true, _) => Some(Settled::Forgotten(row)),
        (false, true) => Some(Settled::Ended(Row { session: machine.to_bytes(now), ..row })),
        (false, false) => None,
    }
}

/// Tells a machine that has just been resumed that its time is up, if it is; and whether it is.
pub(super) fn elapse(machine: &mut Machine, now: Timestamp, rng: &mut StdRng) -> bool {
    let is_due = machine.poll_timeout().is_some_and(|due| due <= now);
    if is_due {
        // (It says how the session ends, which its state says, too.)
        let _ = machine.handle(now, rng, Input::Elapsed);
    }
    is_due
}

#[cfg(test)]
mod tests {
    use handfast_pairing::invite::{InviteOptions, Terms};

    use super::*;

    fn open(journal: &Journal, now: Timestamp) -> [u8; 32] {
        let terms = Terms::Envelope { verify: None };
        let member = Member::start(terms, InviteOptions::default(), None, now, &mut rng());
        let (id, terms) = (*member.id().as_bytes(), Vec::new());
        let row = Row { id, revision: 0, session: member.to_bytes(now), terms };
        journal.put(Kind::Member, &row).unwrap();
        id
    }

    fn ended(journal: &Journal, id: &[u8; 32], now: Timestamp) -> Option<Option<bool>> {
        let row = journal.get(Kind::Member, id).unwrap()?;
        let member = Member::resume(&row.session, None, now, &mut rng()).unwrap();
        Some(member.ended().map(|failure| failure.is_some()))
    }

    /// As when a journal is opened after a long time.
    #[test]
    fn an_invite_expires_and_is_forgotten() {
        let (journal, sessions) = (Journal::in_memory().unwrap(), Sessions::default());
        let begun = Timestamp(1_000_000_000_000);
        let id = open(&journal, begun);
        let hours = |hours: u64| begun + Duration::from_secs(hours * 3_600);
        let at = |now: Timestamp| {
            sweep(&journal, &sessions, now).unwrap();
            ended(&journal, &id, now)
        };
        assert_eq!(at(hours(0)), Some(None));
        // Whoever carries it out elsewhere goes first.
        assert_eq!(at(hours(1)), Some(None));
        assert_eq!(at(hours(7 * 24)), Some(Some(true)));
        assert_eq!(at(hours(8 * 24)), Some(Some(true)));
        assert_eq!(at(hours(10 * 24)), None);
    }

    #[tokio::test]
    async fn what_is_carried_out_is_left_alone() {
        let manager = crate::PairingManager::new(
            std::sync::Arc::new(crate::NoStructures),
            std::sync::Arc::new(crate::Nowhere),
        );
        let manager = manager.unwrap();
        let begun = Timestamp(1_000_000_000_000);
        let id = open(&manager.context.journal, begun);
        let seat = manager.sessions.take((Kind::Member, id), &manager.context).await;
        let (week, journal) = (begun + Duration::from_secs(7 * 86_400), &manager.context.journal);
        sweep(journal, &manager.sessions, week).unwrap();
        assert_eq!(journal.get(Kind::Member, &id).unwrap().unwrap().revision, 1);
        drop(seat);
        sweep(journal, &manager.sessions, week).unwrap();
        assert_eq!(journal.get(Kind::Member, &id).unwrap().unwrap().revision, 2);
    }
}
