//! Calls that are dropped, made again, or made at the same time: each session has one driver.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use handfast_pairing_manager::memory::World;
use handfast_pairing_manager::{Error, Failure, InviteRequest, Join, JournalError, PairingManager};
use tokio::time::timeout;

use crate::app::{FOUR, Notes, check, invite, join, key, manager, name, set_up, store};

/// Two managers and nobody else.
fn two() -> (World, Arc<Notes>, PairingManager, PairingManager) {
    let (world, structures) = (World::default(), Notes::new(FOUR));
    let (a, b) = (manager(&structures, world.peer()), manager(&structures, world.peer()));
    (world, structures, a, b)
}

fn kept(structures: &Arc<Notes>, world: &World, path: &Path) -> PairingManager {
    manager(structures, world.peer()).journal(path).unwrap()
}

/// Longer than anything takes when both are there.
const A_WHILE: Duration = Duration::from_secs(30);

#[tokio::test(start_paused = true)]
async fn a_join_that_was_dropped_is_gone_on_with() {
    let (_world, structures, a, b) = two();
    let invitation = invite(&a).await;
    for _ in 0..3 {
        let unanswered = timeout(A_WHILE, join(&b, &invitation.invite_code, 1)).await;
        assert!(unanswered.is_err());
    }
    let (member, paired) = set_up(&a, &invitation).await.unwrap();
    let joined = join(&b, &invitation.invite_code, 1).await.unwrap();
    member.finished().await.unwrap();
    check(&structures, &joined, &paired, 1);
}

#[tokio::test(start_paused = true)]
async fn of_two_joins_at_once_the_later_goes_on() {
    let (_world, structures, a, b) = two();
    let invitation = invite(&a).await;
    let code = &invitation.invite_code;
    let first = join(&b, code, 1);
    let then = async {
        let abandoned = timeout(A_WHILE, std::future::pending::<()>()).await;
        assert!(abandoned.is_err());
        let second = join(&b, code, 1);
        let (member, paired) = set_up(&a, &invitation).await.unwrap();
        let joined = second.await.unwrap();
        member.finished().await.unwrap();
        check(&structures, &joined, &paired, 1);
    };
    let (first, ()) = tokio::join!(first, then);
    assert!(matches!(first, Err(Error::Journal(JournalError::Overtaken))), "{first:?}");
}

/// Many that are begun and dropped at the same moment leave nothing behind that is in the way.
#[tokio::test(start_paused = true)]
async fn many_at_once() {
    let (_world, structures, a, b) = two();
    let (b, invitation) = (Arc::new(b), invite(&a).await);
    let begun: Vec<_> = (0..20u64)
        .map(|number| {
            let (b, code) = (b.clone(), invitation.invite_code.clone());
            tokio::spawn(async move {
                timeout(Duration::from_millis(number % 3), join(&b, &code, 1)).await
            })
        })
        .collect();
    for one in begun {
        let ended = one.await.unwrap();
        let overtaken = matches!(ended, Ok(Err(Error::Journal(JournalError::Overtaken))));
        assert!(overtaken || ended.is_err(), "{ended:?}");
    }
    let (member, paired) = set_up(&a, &invitation).await.unwrap();
    let joined = join(&b, &invitation.invite_code, 1).await.unwrap();
    member.finished().await.unwrap();
    check(&structures, &joined, &paired, 1);
}

/// Who has called twice can still take it back.
#[tokio::test(start_paused = true)]
async fn leaving_what_was_begun_twice() {
    let (_world, _, a, b) = two();
    let invitation = invite(&a).await;
    let code = &invitation.invite_code;
    assert!(timeout(A_WHILE, join(&b, code, 1)).await.is_err());
    let leave = async {
        assert!(timeout(A_WHILE, std::future::pending::<()>()).await.is_err());
        b.leave(code).await.unwrap();
    };
    let (left, ()) = tokio::join!(join(&b, code, 1), leave);
    assert!(matches!(left, Err(Error::Pairing(Failure::Declined))), "{left:?}");
}

#[tokio::test(start_paused = true)]
async fn a_member_that_is_set_up_twice() {
    let (_world, structures, a, b) = two();
    let invitation = invite(&a).await;
    let (first, never) = set_up(&a, &invitation).await.unwrap();
    let (second, paired) = set_up(&a, &invitation).await.unwrap();
    let overtaken = first.finished().await;
    assert!(matches!(overtaken, Err(Error::Journal(JournalError::Overtaken))), "{overtaken:?}");
    let joined = join(&b, &invitation.invite_code, 1).await.unwrap();
    second.finished().await.unwrap();
    check(&structures, &joined, &paired, 1);
    assert!(never.lock().unwrap().is_empty());
}

/// As the docs ask: what could not be added is mended, and `setup_member` is called again.
#[tokio::test(start_paused = true)]
async fn what_was_incomplete_is_gone_on_with() {
    let (_world, structures, a, b) = two();
    *structures.broken.lock().unwrap() = Some("profile".to_owned());
    let invitation = invite(&a).await;
    let (member, _) = set_up(&a, &invitation).await.unwrap();
    let mended = async {
        assert!(matches!(member.finished().await, Err(Error::Incomplete(_))));
        // Whoever is let in cannot be sent away any more.
        assert!(matches!(a.revoke(&invitation.invite).await, Err(Error::Used)));
        *structures.broken.lock().unwrap() = None;
        let (member, paired) = set_up(&a, &invitation).await.unwrap();
        member.finished().await.unwrap();
        paired
    };
    let (joined, paired) = tokio::join!(join(&b, &invitation.invite_code, 1), mended);
    check(&structures, &joined.unwrap(), &paired, 1);
    assert!(matches!(a.revoke(&invitation.invite).await, Err(Error::Used)));
}

/// Another process's word about a pairing changes nothing where it comes too late.
#[tokio::test(start_paused = true)]
async fn revoked_elsewhere_and_too_late() {
    let directory = tempfile::tempdir().unwrap();
    let (world, structures) = (World::default(), Notes::new(FOUR));
    let path = directory.path().join("journal");
    let (a, b) = (kept(&structures, &world, &path), manager(&structures, world.peer()));
    let elsewhere = kept(&structures, &world, &path);
    *structures.busy.lock().unwrap() = 5;
    let invitation = invite(&a).await;
    let (member, paired) = set_up(&a, &invitation).await.unwrap();
    let revoke = async {
        loop {
            // (It is being added as soon as that has failed once.)
            tokio::task::yield_now().await;
            if *structures.busy.lock().unwrap() < 5 {
                break elsewhere.revoke(&invitation.invite).await;
            }
        }
    };
    let join = timeout(A_WHILE, join(&b, &invitation.invite_code, 1));
    let (joined, revoked) = tokio::join!(join, revoke);
    assert!(matches!(revoked, Err(Error::Used)), "{revoked:?}");
    let joined = joined.expect("it is let in").unwrap();
    member.finished().await.unwrap();
    check(&structures, &joined, &paired, 1);
}

/// Once it has said so it is so, even if the process dies.
#[tokio::test(start_paused = true)]
async fn what_is_revoked_is_revoked() {
    let directory = tempfile::tempdir().unwrap();
    let (world, structures) = (World::default(), Notes::new(FOUR));
    let path = directory.path().join("journal");
    let a = kept(&structures, &world, &path);
    let invitation = invite(&a).await;
    let (_member, _) = set_up(&a, &invitation).await.unwrap();
    a.revoke(&invitation.invite).await.unwrap();
    drop(a);
    let a = kept(&structures, &world, &path);
    assert_eq!(a.invites().unwrap()[0].ended, Some(Err(Failure::Revoked)));
    // And once more changes nothing.
    a.revoke(&invitation.invite).await.unwrap();
}

/// What the journal says is what the app hears.
#[tokio::test(start_paused = true)]
async fn a_journal_that_fails_is_told() {
    let directory = tempfile::tempdir().unwrap();
    let (world, structures) = (World::default(), Notes::new(FOUR));
    let path = directory.path().join("journal");
    let (a, b) = (kept(&structures, &world, &path), manager(&structures, world.peer()));
    let invitation = invite(&a).await;
    let (member, _) = set_up(&a, &invitation).await.unwrap();
    let at_b = directory.path().join("b");
    let c = kept(&structures, &world, &at_b);
    rusqlite::Connection::open(&at_b).unwrap().execute("DROP TABLE session", []).unwrap();
    let joined = join(&c, &invitation.invite_code, 1).await;
    assert!(matches!(joined, Err(Error::Journal(JournalError::Unusable(_)))), "{joined:?}");

    let elsewhere = kept(&structures, &world, &path);
    elsewhere.revoke(&invitation.invite).await.unwrap();
    let join = timeout(A_WHILE, join(&b, &invitation.invite_code, 1));
    let (finished, unanswered) = tokio::join!(member.finished(), join);
    assert!(matches!(finished, Err(Error::Journal(JournalError::Overtaken))), "{finished:?}");
    assert!(unanswered.is_err(), "{unanswered:?}");
    assert!(structures.writers.lock().unwrap().is_empty());
}

#[tokio::test(start_paused = true)]
async fn another_writer_key_is_another_answer() {
    let (_world, _, a, b) = two();
    let request =
        InviteRequest { primary_key: Some(key("drive")), raw: true, ..InviteRequest::default() };
    let invitation = a.create_invite_with(request).await.unwrap();
    let code = &invitation.invite_code;
    assert!(timeout(A_WHILE, b.join_raw(code, &key("one"))).await.is_err());
    let (_member, paired) = set_up(&a, &invitation).await.unwrap();
    let other = b.join_raw(code, &key("other")).await;
    assert!(matches!(other, Err(Error::OtherTerms("writer key"))), "{other:?}");
    b.join_raw(code, &key("one")).await.unwrap();
    assert_eq!(paired.lock().unwrap()[0].values().next(), Some(&key("one")));
}

#[tokio::test(start_paused = true)]
async fn who_insists_later_is_not_ignored() {
    let (_world, structures, a, b) = two();
    let invitation = invite(&a).await;
    assert!(timeout(A_WHILE, join(&b, &invitation.invite_code, 1)).await.is_err());
    let (_member, _) = set_up(&a, &invitation).await.unwrap();
    let insisting = Join {
        invite_code: invitation.invite_code.clone(),
        store: Arc::new(store(1)),
        username: name("alice-phone"),
        person: None,
        insist: true,
    };
    let joined = b.join_with_invite(insisting).await;
    assert!(matches!(joined, Err(Error::OtherTerms(_))), "{joined:?}");
    assert!(structures.writers.lock().unwrap().is_empty());
}
