//! An app with structures of its own.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use handfast_keys::{Digest, Secret};
use handfast_pairing_manager::network::Network;
use handfast_pairing_manager::{
    AddWriterError, DataStructures, DeviceName, Error, Invitation, Join, Joined, MemberHandle,
    MemberSetup, PairingManager, SeedStore, StructureKey, on_paired,
};

/// Structures in memory.
pub struct Notes {
    keys: Mutex<BTreeMap<String, StructureKey>>,
    pub writers: Mutex<BTreeSet<(String, StructureKey)>>,
    /// The structure to which no writer can be added.
    pub broken: Mutex<Option<String>>,
    /// How often adding fails for the moment.
    pub busy: Mutex<usize>,
}

pub fn key(text: &str) -> StructureKey {
    StructureKey::from_bytes(*Digest::sha256(text.as_bytes()).as_bytes())
}

impl Notes {
    pub fn new(namespaces: impl IntoIterator<Item = impl AsRef<str>>) -> Arc<Notes> {
        let keys = namespaces.into_iter().map(|it| (it.as_ref().to_owned(), key(it.as_ref())));
        Arc::new(Notes {
            keys: Mutex::new(keys.collect()),
            writers: Mutex::default(),
            broken: Mutex::default(),
            busy: Mutex::default(),
        })
    }

    /// One structure more.
    pub fn register(&self, namespace: &str) {
        self.keys.lock().unwrap().insert(namespace.to_owned(), key(namespace));
    }
}

#[async_trait]
impl DataStructures for Notes {
    async fn names(&self) -> Vec<String> {
        self.keys.lock().unwrap().keys().cloned().collect()
    }

    async fn writer_keys(&self) -> BTreeMap<String, StructureKey> {
        self.keys.lock().unwrap().clone()
    }

    async fn config(&self, namespace: &str) -> Vec<u8> {
        format!("config of {namespace}").into_bytes()
    }

    async fn add_writer(&self, namespace: &str, key: &StructureKey) -> Result<(), AddWriterError> {
        let known = self.keys.lock().unwrap().contains_key(namespace);
        assert!(known || namespace == "primary");
        if self.broken.lock().unwrap().as_deref() == Some(namespace) {
            return Err(AddWriterError::Never("no such file".to_owned()));
        }
        let mut busy = self.busy.lock().unwrap();
        if *busy > 0 {
            *busy -= 1;
            return Err(AddWriterError::Later("locked".to_owned()));
        }
        drop(busy);
        self.writers.lock().unwrap().insert((namespace.to_owned(), *key));
        Ok(())
    }
}

pub const FOUR: [&str; 4] = ["metadata", "drive", "profile", "Über alles 共有"];

pub fn name(text: &str) -> DeviceName {
    DeviceName::new(text).unwrap()
}

pub fn store(number: u8) -> SeedStore {
    SeedStore::new(Secret::from_bytes([number; 32]))
}

pub fn manager(structures: &Arc<Notes>, network: impl Network) -> PairingManager {
    over(structures, Box::new(network))
}

pub fn over(structures: &Arc<Notes>, network: Box<dyn Network>) -> PairingManager {
    PairingManager::new(structures.clone(), Arc::from(network)).unwrap()
}

/// What `on_paired` was called with.
pub type Paired = Arc<Mutex<Vec<BTreeMap<String, StructureKey>>>>;

pub async fn invite(manager: &PairingManager) -> Invitation {
    manager.create_invite(key("drive"), key("autobase")).await.unwrap()
}

pub async fn set_up(
    manager: &PairingManager,
    invitation: &Invitation,
) -> Result<(MemberHandle, Paired), Error> {
    let paired = Paired::default();
    let told = paired.clone();
    let setup = MemberSetup {
        primary_discovery_key: key("drive").discovery_key(),
        invite: invitation.invite.clone(),
        username: name("alice-laptop"),
        on_paired: on_paired(move |writers| {
            let told = told.clone();
            async move { told.lock().unwrap().push(writers) }
        }),
        person: None,
    };
    Ok((manager.setup_member(setup).await?, paired))
}

pub async fn join(manager: &PairingManager, code: &str, number: u8) -> Result<Joined, Error> {
    let join = Join {
        invite_code: code.to_owned(),
        store: Arc::new(store(number)),
        username: name("alice-phone"),
        person: None,
        insist: false,
    };
    manager.join_with_invite(join).await
}

/// What holds once both sides are done.
pub fn check(structures: &Notes, joined: &Joined, paired: &Paired, number: u8) {
    let keys = structures.keys.lock().unwrap().clone();
    assert_eq!(joined.all_structure_keys, keys);
    assert_eq!(joined.username, name("alice-laptop"));
    assert_eq!(joined.primary_autobase_key, Some(key("autobase")));
    for structure in &joined.structures {
        assert_eq!(
            structure.config.as_slice(),
            format!("config of {}", structure.namespace).as_bytes()
        );
    }
    let mut expected = BTreeMap::new();
    for namespace in keys.keys() {
        let public = store(number).secret(namespace).public();
        expected.insert(namespace.clone(), StructureKey::from_bytes(*public.as_bytes()));
    }
    assert_eq!(joined.writers, expected);
    assert_eq!(*paired.lock().unwrap(), std::slice::from_ref(&expected));
    let writers: BTreeSet<_> = expected.into_iter().collect();
    assert_eq!(*structures.writers.lock().unwrap(), writers);
}
