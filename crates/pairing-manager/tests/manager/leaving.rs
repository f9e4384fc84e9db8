//! Candidates that stop: on the network, and in the manager, nothing of them goes on.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use handfast_pairing_manager::memory::World;
use handfast_pairing_manager::network::Live;
use handfast_pairing_manager::{
    AddWriterError, Error, Failure, Invite, Join, Structure, StructureKey, WriterStore,
};
use tokio::sync::mpsc;
use tokio::time::timeout;
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::app::{FOUR, Notes, invite, manager, name, set_up, store};

const A_WHILE: Duration = Duration::from_secs(600);

/// A store that tells when nobody holds it any more: whoever carried out the session has ended.
struct Watched {
    _held: DropGuard,
}

#[async_trait]
impl WriterStore for Watched {
    async fn writer(&self, structure: &Structure) -> Result<StructureKey, AddWriterError> {
        store(1).writer(structure).await
    }
}

fn joining(code: &str) -> (Join, CancellationToken) {
    let ended = CancellationToken::new();
    let join = Join {
        invite_code: code.to_owned(),
        store: Arc::new(Watched { _held: ended.clone().drop_guard() }),
        username: name("alice-phone"),
        person: None,
        insist: false,
    };
    (join, ended)
}

/// Whether a member that comes now would be met by anybody.
async fn is_anybody_there(world: &World, invite: &Invite) -> bool {
    let (peer, key) = (world.peer(), invite.discovery_key.unwrap());
    let (opened, mut channels) = mpsc::unbounded_channel();
    let opened = Arc::new(move |channel| _ = opened.send(channel));
    let _opening = peer.open("blind-pairing", *key.as_bytes(), opened);
    let _joined = peer.join(key.topic(), true, true);
    channels.try_recv().is_ok()
}

#[tokio::test(start_paused = true)]
async fn who_leaves_before_the_member_comes_is_gone() {
    let (world, structures) = (World::default(), Notes::new(FOUR));
    let (a, b) = (manager(&structures, world.peer()), manager(&structures, world.peer()));
    let code = invite(&a).await.invite_code;
    let parsed = Invite::parse(&code).unwrap();
    let (join, ended) = joining(&code);
    let leaving = async {
        world.settled().await;
        assert!(is_anybody_there(&world, &parsed).await);
        assert_eq!(world.announced(), 1);
        b.leave(&code).await.unwrap();
    };
    let (joined, ()) = tokio::join!(b.join_with_invite(join), leaving);
    assert!(matches!(joined, Err(Error::Pairing(Failure::Declined))));
    timeout(A_WHILE, ended.cancelled()).await.expect("the session goes on");
    assert!(!is_anybody_there(&world, &parsed).await);
    b.close().await;
    assert_eq!(world.announced(), 0);
}

#[tokio::test(start_paused = true)]
async fn who_leaves_after_its_writers_are_sent_is_told_that_it_may_be_in() {
    let (world, structures) = (World::default(), Notes::new(FOUR));
    let (a, b) = (manager(&structures, world.peer()), manager(&structures, world.peer()));
    *structures.broken.lock().unwrap() = Some("profile".to_owned());
    let invitation = invite(&a).await;
    let (member, _) = set_up(&a, &invitation).await.unwrap();
    let (join, ended) = joining(&invitation.invite_code);
    let leaving = async {
        assert!(matches!(member.finished().await, Err(Error::Incomplete(_))));
        b.leave(&invitation.invite_code).await.unwrap();
    };
    let (joined, ()) =
        timeout(A_WHILE, async { tokio::join!(b.join_with_invite(join), leaving) }).await.unwrap();
    assert!(matches!(joined, Err(Error::Pairing(Failure::Left))));
    timeout(A_WHILE, ended.cancelled()).await.expect("the session goes on");
}
