//! What is kept and listed, for how long, and what of it is shown.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use std::collections::BTreeMap;

use async_trait::async_trait;
use handfast_pairing::invite::Invite;
use handfast_pairing_manager::memory::World;
use handfast_pairing_manager::network::Live;
use handfast_pairing_manager::{
    AddWriterError, DataStructures, Error, Failure, InviteRequest, PairingManager, StructureKey,
};

use crate::app::{FOUR, Notes, check, invite, join, key, manager, set_up};

const HOUR: Duration = Duration::from_secs(3_600);

fn rows(path: &Path) -> u32 {
    let connection = rusqlite::Connection::open(path).unwrap();
    connection.query_row("SELECT count(*) FROM session", [], |row| row.get(0)).unwrap()
}

/// Nobody has called `setup_member`, as after a restart.
#[tokio::test(start_paused = true)]
async fn an_invite_that_has_expired_is_listed_as_such() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("journal");
    let a = manager(&Notes::new(FOUR), World::default().peer()).journal(&path).unwrap();
    let invitation = invite(&a).await;
    let listed = a.invites().unwrap();
    assert_eq!(listed[0].invite_code, Some(invitation.invite_code));
    assert_eq!(listed[0].ended, None);

    tokio::time::advance(HOUR).await;
    let listed = a.invites().unwrap();
    assert_eq!(listed[0].invite_code, None);
    assert_eq!(listed[0].ended, Some(Err(Failure::Expired)));
    // A little later that is stored, and two days later it is gone.
    tokio::time::advance(HOUR).await;
    assert_eq!(a.invites().unwrap(), listed);
    tokio::time::advance(49 * HOUR).await;
    assert_eq!(a.invites().unwrap(), []);
    assert_eq!(rows(&path), 0);
    let forgotten = a.revoke(&invitation.invite).await;
    assert!(matches!(forgotten, Err(Error::UnknownInvite)), "{forgotten:?}");
}

/// Neither side is listed or opened again.
#[tokio::test(start_paused = true)]
async fn what_is_over_is_forgotten_after_two_days() {
    let directory = tempfile::tempdir().unwrap();
    let (at_a, at_b) = (directory.path().join("a"), directory.path().join("b"));
    let (world, structures) = (World::default(), Notes::new(FOUR));
    let kept = |path| manager(&structures, world.peer()).journal(path).unwrap();
    let (a, b) = (kept(&at_a), kept(&at_b));
    let invitation = invite(&a).await;
    let (member, paired) = set_up(&a, &invitation).await.unwrap();
    let joined = join(&b, &invitation.invite_code, 1).await.unwrap();
    member.finished().await.unwrap();
    check(&structures, &joined, &paired, 1);
    tokio::time::sleep(47 * HOUR).await;
    assert_eq!(join(&b, &invitation.invite_code, 1).await.unwrap(), joined);
    assert_eq!((rows(&at_a), rows(&at_b)), (1, 1));
    tokio::time::sleep(3 * HOUR).await;
    assert_eq!((rows(&at_a), rows(&at_b)), (0, 0));
    assert_eq!(a.invites().unwrap(), []);
}

/// An app that has forgotten one of its keys.
struct Forgetful(Arc<Notes>);

#[async_trait]
impl DataStructures for Forgetful {
    async fn names(&self) -> Vec<String> {
        self.0.names().await
    }

    async fn writer_keys(&self) -> BTreeMap<String, StructureKey> {
        let mut keys = self.0.writer_keys().await;
        keys.remove("profile");
        keys
    }

    async fn config(&self, namespace: &str) -> Vec<u8> {
        self.0.config(namespace).await
    }

    async fn add_writer(&self, namespace: &str, key: &StructureKey) -> Result<(), AddWriterError> {
        self.0.add_writer(namespace, key).await
    }
}

/// All structures or none.
#[tokio::test(start_paused = true)]
async fn a_structure_without_a_key_is_not_left_out() {
    let (world, structures) = (World::default(), Notes::new(FOUR));
    let forgetful = Arc::new(Forgetful(structures.clone()));
    let a = PairingManager::new(forgetful, Arc::new(world.peer())).unwrap();
    let b = manager(&structures, world.peer());
    let invitation = invite(&a).await;
    let (member, paired) = set_up(&a, &invitation).await.unwrap();
    let joined = join(&b, &invitation.invite_code, 1).await;
    assert!(matches!(joined, Err(Error::Pairing(Failure::Declined))), "{joined:?}");
    match member.finished().await {
        Err(Error::NoWriterKey(namespace)) => assert_eq!(namespace, "profile"),
        other => panic!("{other:?}"),
    }
    assert!(paired.lock().unwrap().is_empty());
    assert!(structures.writers.lock().unwrap().is_empty());
}

/// A group's topic is joined as long as somebody may come there.
#[tokio::test(start_paused = true)]
async fn nobody_meets_where_no_invite_leads() {
    let (world, structures) = (World::default(), Notes::new(FOUR));
    let a = manager(&structures, world.peer());
    let found = |code: &str| {
        let (peer, met) = (world.peer(), Arc::new(AtomicUsize::new(0)));
        let (counted, id) = (met.clone(), Invite::parse(code).unwrap().discovery_key.unwrap());
        let opened = Arc::new(move |_| _ = counted.fetch_add(1, Ordering::SeqCst));
        let _open = peer.open("blind-pairing", *id.as_bytes(), opened);
        let _joined = peer.join(key("drive").discovery_key().topic(), false, true);
        met.load(Ordering::SeqCst)
    };
    let (one, two) = (invite(&a).await, invite(&a).await);
    let (_one, _) = set_up(&a, &one).await.unwrap();
    let (_two, _) = set_up(&a, &two).await.unwrap();
    tokio::task::yield_now().await;
    assert_eq!(found(&two.invite_code), 1);
    a.revoke(&one.invite).await.unwrap();
    assert_eq!(found(&two.invite_code), 1);
    a.revoke(&two.invite).await.unwrap();
    assert_eq!(found(&two.invite_code), 0);
    // Where one has led, the group meets from then on.
    let three = invite(&a).await;
    let (member, _) = set_up(&a, &three).await.unwrap();
    let b = manager(&structures, world.peer());
    join(&b, &three.invite_code, 1).await.unwrap();
    member.finished().await.unwrap();
    assert_eq!(found(&three.invite_code), 1);
    a.close().await;
    assert_eq!(found(&three.invite_code), 0);
}

/// What is a secret as long as the invite is open is not printed by the way.
#[tokio::test]
async fn no_code_is_printed() {
    let a = manager(&Notes::new(FOUR), World::default().peer());
    let request = InviteRequest { additional: Some(b"hello".to_vec()), ..InviteRequest::default() };
    let raw = InviteRequest { primary_key: Some(key("drive")), raw: true, ..request };
    assert_eq!(
        format!("{raw:?}"),
        format!(
            "InviteRequest {{ primary_key: Some({:?}), primary_autobase_key: None, raw: true, \
             verify: None, options: {:?}, .. }}",
            key("drive"),
            raw.options
        )
    );
    let made = a.create_invite_with(raw).await.unwrap();
    assert_eq!(format!("{made:?}"), format!("Invitation {{ invite: {:?}, .. }}", made.invite));
    let listed = &a.invites().unwrap()[0];
    assert_eq!(
        format!("{listed:?}"),
        format!(
            "InviteInfo {{ invite: {:?}, discovery_key: {:?}, profile: Some(Raw), verifies: \
             Some(false), is_pairing: false, ended: None, .. }}",
            made.invite, listed.discovery_key
        )
    );
}
