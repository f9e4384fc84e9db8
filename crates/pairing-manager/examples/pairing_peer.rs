//! A peer for `interop/blind-pairing/pair.mjs`: a member or a candidate of the raw profile.
//!
//! ```text
//! pairing_peer member    BOOTSTRAP ROAD KEY JOURNAL    prints the invite code, then the candidate's data
//! pairing_peer candidate BOOTSTRAP ROAD CODE WRITER JOURNAL   prints what it was granted
//! pairing_peer bench     BOOTSTRAP    does what is asked on standard input, for `speed.mjs`:
//!     invite KEY          prints the invite code once it can be found
//!     join CODE WRITER    prints for how many microseconds it was on its way, from a swarm that is up
//!     idle COUNT          prints a line once so many invites can be found, and goes on being idle
//! ```
//!
//! `BOOTSTRAP` is `HOST:PORT`, `ROAD` is `live` or `dht`; keys are hex. One JSON object a line.

use std::error::Error;
use std::io::Write;
use std::sync::Arc;

use handfast_keys::Secret;
use handfast_pairing_manager::network::Network;
use handfast_pairing_manager::{
    DeviceName, Hyperswarm, InviteRequest, MemberHandle, MemberSetup, NoStructures, Nowhere,
    PairingManager, StructureKey, on_paired,
};
use handfast_swarm::{Bootstrap, Swarm, SwarmOptions};

fn key(hex: &str) -> Result<StructureKey, Box<dyn Error>> {
    let digits = hex.as_bytes().chunks(2).map(std::str::from_utf8);
    let bytes: Vec<u8> =
        digits.map(|it| Ok(u8::from_str_radix(it?, 16)?)).collect::<Result<_, Box<dyn Error>>>()?;
    Ok(StructureKey::from_bytes(bytes.try_into().map_err(|_| "a key has 32 bytes")?))
}

fn say(line: &str) -> std::io::Result<()> {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{line}")?;
    out.flush()
}

async fn member(manager: &PairingManager, own: &str) -> Result<(), Box<dyn Error>> {
    let known = manager.invites()?.pop();
    let (invite, code) = match known {
        Some(info) => (info.invite, info.invite_code.unwrap_or_default()),
        None => {
            let request = InviteRequest {
                primary_key: Some(key(own)?),
                raw: true,
                encryption_key: Some(Secret::from_bytes([5; 32])),
                additional: Some(b"{\"readOnly\":false}".to_vec()),
                ..InviteRequest::default()
            };
            let invitation = manager.create_invite_with(request).await?;
            (invitation.invite, invitation.invite_code)
        }
    };
    let setup = MemberSetup {
        primary_discovery_key: key(own)?.discovery_key(),
        invite,
        username: DeviceName::new("member")?,
        on_paired: on_paired(|writers| async move {
            for writer in writers.values() {
                let _ = say(&format!("{{\"user_data\":\"{writer}\"}}"));
            }
        }),
        person: None,
    };
    let member = manager.setup_member(setup).await?;
    member.flushed().await;
    say(&format!("{{\"invite_code\":\"{code}\"}}"))?;
    member.finished().await?;
    // Until the script ends it: the candidate may still be on its way to the response.
    std::future::pending().await
}

async fn candidate(
    manager: &PairingManager,
    code: &str,
    writer: &str,
) -> Result<(), Box<dyn Error>> {
    match manager.join_raw(code, &key(writer)?).await {
        Ok(grant) => {
            let encryption =
                grant.encryption_key.map(|key| StructureKey::from_bytes(*key.expose()));
            let data = grant.additional.map(|it| String::from_utf8_lossy(it.data()).into_owned());
            say(&format!(
                "{{\"key\":\"{}\",\"encryption_key\":\"{}\",\"additional\":{:?}}}",
                grant.key,
                encryption.map(|key| key.to_string()).unwrap_or_default(),
                data.unwrap_or_default()
            ))?;
        }
        Err(error) => say(&format!("{{\"error\":{:?}}}", error.to_string()))?,
    }
    Ok(())
}

/// A swarm and a manager of their own, for as long as the process lives.
async fn fresh(bootstrap: &str) -> Result<PairingManager, Box<dyn Error>> {
    let mut options = SwarmOptions::new(Bootstrap::Nodes(vec![bootstrap.to_owned()]));
    options.host = std::net::Ipv4Addr::LOCALHOST;
    let swarm = Hyperswarm::new(Swarm::new(options).await?);
    Ok(PairingManager::new(Arc::new(NoStructures), Arc::new(swarm))?)
}

async fn open(
    manager: &PairingManager,
    key: StructureKey,
) -> Result<(String, MemberHandle), Box<dyn Error>> {
    let request = InviteRequest { primary_key: Some(key), raw: true, ..InviteRequest::default() };
    let invitation = manager.create_invite_with(request).await?;
    let setup = MemberSetup {
        primary_discovery_key: key.discovery_key(),
        invite: invitation.invite,
        username: DeviceName::new("member")?,
        on_paired: on_paired(|_| async {}),
        person: None,
    };
    Ok((invitation.invite_code, manager.setup_member(setup).await?))
}

async fn bench(bootstrap: &str) -> Result<(), Box<dyn Error>> {
    let mut managers = Vec::new();
    for line in std::io::stdin().lines() {
        let line = line?;
        let words: Vec<&str> = line.split(' ').collect();
        let manager = fresh(bootstrap).await?;
        match words.as_slice() {
            ["invite", own] => {
                let (code, member) = open(&manager, key(own)?).await?;
                member.flushed().await;
                say(&format!("{{\"invite_code\":\"{code}\"}}"))?;
            }
            ["join", code, writer] => {
                let (writer, begun) = (key(writer)?, std::time::Instant::now());
                manager.join_raw(code, &writer).await?;
                say(&format!("{{\"micros\":{}}}", begun.elapsed().as_micros()))?;
            }
            ["idle", count] => {
                let mut members = Vec::new();
                for number in 0..count.parse()? {
                    let bytes: [u8; 32] =
                        std::array::from_fn(|at| (number >> (8 * (at % 4))) as u8);
                    members.push(open(&manager, StructureKey::from_bytes(bytes)).await?.1);
                }
                for member in &members {
                    member.flushed().await;
                }
                say("{\"idle\":true}")?;
            }
            _ => return Err("see the head of this file".into()),
        }
        managers.push(manager);
    }
    Ok(())
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let (bootstrap, road, journal) = match arguments.as_slice() {
        ["member", bootstrap, road, _, journal] => (bootstrap, road, journal),
        ["candidate", bootstrap, road, _, _, journal] => (bootstrap, road, journal),
        ["bench", bootstrap] => return bench(bootstrap).await,
        _ => return Err("see the head of this file".into()),
    };
    let mut options = SwarmOptions::new(Bootstrap::Nodes(vec![(*bootstrap).to_owned()]));
    options.host = std::net::Ipv4Addr::LOCALHOST;
    let swarm = Swarm::new(options).await?;
    let hyperswarm = Hyperswarm::new(swarm.clone());
    let network: Arc<dyn Network> = match *road {
        "live" => Arc::new(hyperswarm),
        _ => Arc::new((Nowhere, hyperswarm)),
    };
    let manager = PairingManager::new(Arc::new(NoStructures), network)?.journal(journal)?;
    match arguments.as_slice() {
        ["member", _, _, own, _] => member(&manager, own).await?,
        ["candidate", _, _, code, writer, _] => candidate(&manager, code, writer).await?,
        _ => (),
    }
    manager.close().await;
    swarm.close().await;
    Ok(())
}
