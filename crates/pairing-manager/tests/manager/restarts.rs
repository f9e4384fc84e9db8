//! Managers that are closed and opened again on their journals.

use std::path::Path;

use handfast_pairing_manager::memory::World;
use handfast_pairing_manager::{Error, PairingManager};

use crate::app::{FOUR, Notes, check, invite, join, manager, set_up};

fn kept(structures: &std::sync::Arc<Notes>, world: &World, path: &Path) -> PairingManager {
    manager(structures, world.peer()).journal(path).unwrap()
}

#[tokio::test(start_paused = true)]
async fn neither_is_there_when_the_other_is() {
    let directory = tempfile::tempdir().unwrap();
    let (at_a, at_b) = (directory.path().join("a"), directory.path().join("b"));
    let (world, structures) = (World::default().without_connections(), Notes::new(FOUR));
    let a = kept(&structures, &world, &at_a);
    let invitation = invite(&a).await;
    a.close().await;

    let mut joined = None;
    let mut paired = None;
    for _ in 0..12 {
        let b = kept(&structures, &world, &at_b);
        tokio::select! {
            answer = join(&b, &invitation.invite_code, 1) => {
                joined = Some(answer.unwrap());
                b.close().await;
                break;
            }
            // The process dies: what was announced stays announced.
            () = world.settled() => drop(b),
        }
        let a = kept(&structures, &world, &at_a);
        let (_, told) = set_up(&a, &invitation).await.unwrap();
        world.settled().await;
        if !told.lock().unwrap().is_empty() {
            paired = Some(told);
        }
        a.close().await;
    }
    check(&structures, &joined.unwrap(), &paired.unwrap(), 1);

    // Who asks again gets the same answer: nothing is paired twice.
    let b = kept(&structures, &world, &at_b);
    let again = join(&b, &invitation.invite_code, 9).await.unwrap();
    assert_eq!(again.writers.len(), FOUR.len());
    assert_eq!(structures.writers.lock().unwrap().len(), FOUR.len());
}

#[tokio::test(start_paused = true)]
async fn what_could_not_be_added_is_added_later() {
    let directory = tempfile::tempdir().unwrap();
    let (world, structures) = (World::default(), Notes::new(FOUR));
    let a = kept(&structures, &world, &directory.path().join("a"));
    let b = manager(&structures, world.peer());
    *structures.broken.lock().unwrap() = Some("profile".to_owned());
    let invitation = invite(&a).await;
    let (member, paired) = set_up(&a, &invitation).await.unwrap();
    let joining = async { join(&b, &invitation.invite_code, 1).await.unwrap() };
    let mending = async {
        match member.finished().await {
            Err(Error::Incomplete(namespace)) => assert_eq!(namespace, "profile"),
            other => panic!("{other:?}"),
        }
        assert!(paired.lock().unwrap().is_empty());
        a.close().await;
        *structures.broken.lock().unwrap() = None;
        let a = kept(&structures, &world, &directory.path().join("a"));
        let (member, paired) = set_up(&a, &invitation).await.unwrap();
        member.finished().await.unwrap();
        (a, paired)
    };
    let (joined, (_a, paired)) = tokio::join!(joining, mending);
    check(&structures, &joined, &paired, 1);
}

/// Without a journal an invite dies with its process.
#[tokio::test(start_paused = true)]
async fn without_a_journal_nothing_is_kept() {
    let (world, structures) = (World::default(), Notes::new(FOUR));
    let a = manager(&structures, world.peer());
    let invitation = invite(&a).await;
    drop(a);
    let a = manager(&structures, world.peer());
    assert!(matches!(set_up(&a, &invitation).await, Err(Error::UnknownInvite)));
}
