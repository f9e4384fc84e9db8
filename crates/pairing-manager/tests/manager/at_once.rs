//! Apps that add, and make, all writers in one go.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use handfast_pairing_manager::memory::World;
use handfast_pairing_manager::{
    AddWriterError, DataStructures, Error, Failure, Join, MemberSetup, NotAdded, PairingManager,
    Structure, StructureKey, WriterStore, on_paired,
};
use tokio::time::timeout;

use crate::app::{FOUR, invite, key, name, store};

/// What happens to all writers together: each time it is asked for, the next of these.
#[derive(Default)]
struct Whole {
    fails: Mutex<Vec<AddWriterError>>,
    added: Mutex<Vec<BTreeMap<String, StructureKey>>>,
}

#[async_trait]
impl DataStructures for Whole {
    async fn names(&self) -> Vec<String> {
        FOUR.map(str::to_owned).to_vec()
    }

    async fn writer_keys(&self) -> BTreeMap<String, StructureKey> {
        FOUR.iter().map(|it| ((*it).to_owned(), key(it))).collect()
    }

    async fn config(&self, _: &str) -> Vec<u8> {
        Vec::new()
    }

    async fn add_writer(&self, namespace: &str, _: &StructureKey) -> Result<(), AddWriterError> {
        panic!("{namespace} is added by itself")
    }

    async fn add_writers(&self, writers: &BTreeMap<String, StructureKey>) -> Result<(), NotAdded> {
        match self.fails.lock().unwrap().pop() {
            Some(error) => Err(NotAdded { namespace: "drive".to_owned(), error }),
            None => {
                self.added.lock().unwrap().push(writers.clone());
                Ok(())
            }
        }
    }
}

/// Makes so many writers for whatever there is.
struct Maker(usize);

#[async_trait]
impl WriterStore for Maker {
    async fn writer(&self, structure: &Structure) -> Result<StructureKey, AddWriterError> {
        panic!("{} is made by itself", structure.namespace)
    }

    async fn writers(&self, structures: &[Structure]) -> Result<Vec<StructureKey>, AddWriterError> {
        let own = store(1);
        let mut keys = Vec::new();
        for structure in structures.iter().take(self.0) {
            keys.push(own.writer(structure).await?);
        }
        Ok(keys)
    }
}

struct Pair {
    structures: Arc<Whole>,
    a: PairingManager,
    b: PairingManager,
}

impl Pair {
    fn new() -> Pair {
        let (world, structures) = (World::default(), Arc::new(Whole::default()));
        let manager = || PairingManager::new(structures.clone(), Arc::new(world.peer())).unwrap();
        Pair { a: manager(), b: manager(), structures }
    }

    /// How it ends for the member, and for a candidate that makes so many writers and waits a while.
    async fn meet(&self, makes: usize) -> (Result<(), Error>, Option<Result<(), Error>>) {
        let invitation = invite(&self.a).await;
        let setup = MemberSetup {
            primary_discovery_key: key("drive").discovery_key(),
            invite: invitation.invite,
            username: name("member"),
            on_paired: on_paired(|_| async {}),
            person: None,
        };
        let member = self.a.setup_member(setup).await.unwrap();
        let joined = self.b.join_with_invite(Join {
            invite_code: invitation.invite_code,
            store: Arc::new(Maker(makes)),
            username: name("candidate"),
            person: None,
            insist: false,
        });
        let joined = timeout(Duration::from_secs(60), joined);
        let (finished, joined) = tokio::join!(member.finished(), joined);
        (finished, joined.ok().map(|joined| joined.map(drop)))
    }
}

#[tokio::test(start_paused = true)]
async fn all_writers_are_added_in_one_go() {
    let pair = Pair::new();
    let later = || AddWriterError::Later("busy".to_owned());
    *pair.structures.fails.lock().unwrap() = vec![later(), later()];
    assert!(matches!(pair.meet(4).await, (Ok(()), Some(Ok(())))));
    let added = pair.structures.added.lock().unwrap().clone();
    let own = |it: &str| StructureKey::from_bytes(*store(1).secret(it).public().as_bytes());
    let expected: BTreeMap<_, _> = FOUR.iter().map(|it| ((*it).to_owned(), own(it))).collect();
    assert_eq!(added, [expected]);
}

#[tokio::test(start_paused = true)]
async fn what_is_never_added_names_its_structure() {
    let pair = Pair::new();
    *pair.structures.fails.lock().unwrap() = vec![AddWriterError::Never("gone".to_owned())];
    let (member, candidate) = pair.meet(4).await;
    assert!(matches!(member, Err(Error::Incomplete(namespace)) if namespace == "drive"));
    assert!(candidate.is_none(), "it waits");
}

#[tokio::test(start_paused = true)]
async fn a_store_that_leaves_one_out_declines() {
    let (member, candidate) = Pair::new().meet(3).await;
    for ended in [member, candidate.unwrap()] {
        assert!(matches!(ended, Err(Error::Pairing(Failure::Declined))), "{ended:?}");
    }
}
