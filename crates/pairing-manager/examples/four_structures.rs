//! An app with four data structures of its own, kept in files, and no ledger of ours: one device
//! invites another, and both end up with every writer key of every structure.
//!
//! ```text
//! cargo run -p handfast-pairing-manager --example four_structures
//! ```

use std::collections::BTreeMap;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use async_trait::async_trait;
use handfast_keys::{Digest, Secret};
use handfast_pairing_manager::{
    AddWriterError, DataStructures, DeviceName, Hyperswarm, Join, MemberSetup, PairingManager,
    SeedStore, StructureKey, on_paired,
};
use handfast_swarm::testnet::Testnet;
use handfast_swarm::{Swarm, SwarmOptions};

/// Each structure is a file with one writer key a line.
struct Files(PathBuf);

const STRUCTURES: [&str; 4] = ["metadata", "drive", "profile", "chat"];

impl Files {
    fn at(directory: &Path, device: &str) -> std::io::Result<Files> {
        let files = Files(directory.join(device));
        std::fs::create_dir(&files.0)?;
        Ok(files)
    }

    fn own_key(&self, namespace: &str) -> StructureKey {
        let text = format!("{} {namespace}", self.0.display());
        StructureKey::from_bytes(*Digest::sha256(text.as_bytes()).as_bytes())
    }

    fn writers(&self, namespace: &str) -> String {
        std::fs::read_to_string(self.0.join(namespace)).unwrap_or_default()
    }
}

#[async_trait]
impl DataStructures for Files {
    async fn names(&self) -> Vec<String> {
        STRUCTURES.map(str::to_owned).to_vec()
    }

    async fn writer_keys(&self) -> BTreeMap<String, StructureKey> {
        STRUCTURES.iter().map(|it| ((*it).to_owned(), self.own_key(it))).collect()
    }

    async fn config(&self, namespace: &str) -> Vec<u8> {
        format!("{{\"encoding\":\"text\",\"of\":\"{namespace}\"}}").into_bytes()
    }

    async fn add_writer(&self, namespace: &str, key: &StructureKey) -> Result<(), AddWriterError> {
        let (line, path) = (format!("{key}\n"), self.0.join(namespace));
        if self.writers(namespace).contains(&line) {
            return Ok(());
        }
        let append = || {
            let mut file = std::fs::OpenOptions::new().create(true).append(true).open(path)?;
            file.write_all(line.as_bytes())?;
            file.sync_all()
        };
        append().map_err(|error| AddWriterError::Later(error.to_string()))
    }
}

async fn swarm(testnet: &Testnet) -> Result<Swarm, Box<dyn std::error::Error>> {
    let mut options = SwarmOptions::new(testnet.bootstrap());
    options.host = std::net::Ipv4Addr::LOCALHOST;
    Ok(Swarm::new(options).await?)
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut out = std::io::stdout();
    let directory = tempfile::tempdir()?;
    let testnet = Testnet::new(10).await?;
    let (one, two) = (swarm(&testnet).await?, swarm(&testnet).await?);

    // The laptop invites.
    let laptop = Arc::new(Files::at(directory.path(), "laptop")?);
    let network = Arc::new(Hyperswarm::new(one.clone()));
    let manager = PairingManager::new(laptop.clone(), network)?
        .journal(directory.path().join("laptop/pairing"))?;
    let drive = laptop.own_key("drive");
    let invitation = manager.create_invite(drive, drive).await?;
    writeln!(out, "invite code: {}", invitation.invite_code)?;
    let setup = MemberSetup {
        primary_discovery_key: drive.discovery_key(),
        invite: invitation.invite,
        username: DeviceName::new("alice-laptop")?,
        on_paired: on_paired(|writers| async move {
            let _ = writeln!(std::io::stdout(), "laptop: paired, {} writers", writers.len());
        }),
        person: None,
    };
    let member = manager.setup_member(setup).await?;
    member.flushed().await;

    // The phone joins.
    let phone = Arc::new(Files::at(directory.path(), "phone")?);
    let joining = PairingManager::new(phone.clone(), Arc::new(Hyperswarm::new(two.clone())))?
        .journal(directory.path().join("phone/pairing"))?;
    let joined = joining
        .join_with_invite(Join {
            invite_code: invitation.invite_code,
            store: Arc::new(SeedStore::new(Secret::from_bytes([7; 32]))),
            username: DeviceName::new("alice-phone")?,
            person: None,
            insist: false,
        })
        .await?;
    for (namespace, key) in &joined.all_structure_keys {
        phone.add_writer(namespace, key).await?;
    }
    writeln!(out, "phone: joined {}, {:?}", joined.username, joined.named_keys())?;
    member.finished().await?;

    for namespace in STRUCTURES {
        let (own, theirs) = (laptop.own_key(namespace), joined.writers.get(namespace));
        let known = theirs.map(|key| laptop.writers(namespace).contains(&key.to_string()));
        if known != Some(true) || !phone.writers(namespace).contains(&own.to_string()) {
            return Err(format!("{namespace} is not complete").into());
        }
        writeln!(out, "{namespace}: each device knows the other's writer")?;
    }
    manager.close().await;
    joining.close().await;
    one.close().await;
    two.close().await;
    testnet.close().await;
    Ok(())
}
