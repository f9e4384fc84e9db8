//! `handfast join --profile app`: answers the invite of an app that shares its structures.

use std::path::PathBuf;
use std::sync::Arc;

use handfast_keys::Secret;
use handfast_pairing_manager::{
    Consent, Error, Failure, Invite, Join, Joined, NoStructures, Person, SeedStore,
};
use serde_json::{Map, json};

use super::desk::{Brought, Desk};
use super::dialogue::Dialogue;
use super::session::Session;
use super::{answering, keys, name, words};
use crate::commands::invite::Profile;
use crate::network::Network;
use crate::prompt::{Input, Interrupt};
use crate::report::wording::hex;
use crate::report::{CliError, Exit, Report};

/// With which writers to join.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "To join an app's structures (--profile app)")]
#[group(id = "writers")]
pub struct Args {
    /// The file that the seed of all writers stands in, 64 hex digits; without it one is drawn and
    /// printed
    #[arg(long, value_name = "FILE", conflicts_with = "ask_writers")]
    seed_file: Option<PathBuf>,
    /// Ask for the writers: print {"type": "structures", …} and read {"writers": {"NAME": HEX, …}}
    /// from standard input, with one for each structure (with --json)
    #[arg(long)]
    ask_writers: bool,
    /// What this side calls itself [default: the name of this machine]
    #[arg(long, value_name = "NAME")]
    name: Option<String>,
}

impl Args {
    /// Whether anything of it was given.
    pub fn is_said(&self) -> bool {
        self.seed_file.is_some() || self.ask_writers || self.name.is_some()
    }
}

/// Where the writers come from.
enum Writers {
    Asked,
    From(Secret<32>),
    Drawn(Secret<32>),
}

impl Writers {
    fn of(args: &Args, report: &Report) -> Result<Writers, CliError> {
        if args.ask_writers {
            return match report.is_json() {
                true => Ok(Writers::Asked),
                false => Err(CliError::usage("--ask-writers is for programs: it needs --json")),
            };
        }
        Ok(match &args.seed_file {
            Some(path) => {
                Writers::From(Secret::from_bytes(*keys::key_in(path, "--seed", report)?.as_bytes()))
            }
            None => Writers::Drawn(Secret::from_bytes(rand::random())),
        })
    }

    fn seed(&self) -> Option<&Secret<32>> {
        match self {
            Writers::Asked => None,
            Writers::From(seed) | Writers::Drawn(seed) => Some(seed),
        }
    }
}

/// Runs it, until the member has added the writers.
pub async fn run(
    code: &str,
    args: &Args,
    answering: &answering::Args,
    compare: bool,
    input: Input,
    network: &Network,
    report: &Report,
) -> Result<(), CliError> {
    let interrupt = Interrupt::listen()?;
    answering
        .check(args.seed_file.is_some() || args.ask_writers, "--seed-file or --ask-writers")?;
    let writers = Writers::of(args, report)?;
    Profile::App.check(&Invite::parse(code)?)?;
    network.needed()?;
    let (desk, asked) = Desk::new();
    let store = Brought::new(writers.seed().cloned().map(SeedStore::new), desk.clone());
    let person: Arc<dyn Person> = Arc::new(desk);
    let join = Join {
        invite_code: code.to_owned(),
        store: store.clone(),
        username: name(args.name.as_deref())?,
        person: Some((person, Consent::Compare)),
        insist: compare,
    };
    let journal = answering.journal.as_deref();
    let session = Session::open(network, journal, Arc::new(NoStructures), report).await?;
    let held = session.hold(interrupt, async |manager| {
        let mut dialogue = Dialogue::new(asked, input, words::paired, journal.is_some(), report);
        let joined = manager.join_with_invite(join);
        match answering.waited(joined, &mut dialogue).await? {
            Some(Ok(joined)) => show(&joined, &writers, report),
            Some(Err(Error::Pairing(Failure::Declined)))
                if store.are_asked_for() && matches!(writers, Writers::Asked) =>
            {
                let message = "this side has declined: nobody has named its writers";
                Err(CliError::new("declined", Exit::Pairing, message))
            }
            Some(Err(error)) => Err(error.into()),
            None if store.are_asked_for() => Err(answering::no_answer_after(
                "the other side has not said so far that it has added the writers",
            )),
            None => Err(answering::no_answer()),
        }
    });
    held.await
}

fn show(joined: &Joined, writers: &Writers, report: &Report) -> Result<(), CliError> {
    let Joined { all_structure_keys, username, primary_autobase_key, encryption_key, .. } = joined;
    let primary = primary_autobase_key.map(|key| key.to_string());
    let encryption_key = encryption_key.as_ref().map(|key| hex(key.expose()));
    let drawn = match writers {
        Writers::Drawn(seed) => Some(hex(seed.expose())),
        Writers::Asked | Writers::From(_) => None,
    };
    report.say(format_args!(
        "Joined {}. Its writers are\n{}\n\nand those of this side\n{}\n",
        report.ink().bold(username),
        words::listed(all_structure_keys),
        words::listed(&joined.writers),
    ))?;
    for (what, key) in [
        ("group's key     ", &primary),
        ("encryption key  ", &encryption_key),
        ("writer seed     ", &drawn),
    ] {
        if let Some(key) = key {
            report.say(format_args!("{what}{key}"))?;
        }
    }
    let configs = joined.structures.iter().filter(|structure| !structure.config.is_empty());
    let configs = configs.map(|it| (it.namespace.clone(), hex(&it.config).into()));
    let mut object = json!({
        "type": "joined",
        "all_structure_keys": words::keys(all_structure_keys),
        "username": username.as_str(),
        "writers": words::keys(&joined.writers),
        "configs": Map::from_iter(configs),
        "primary_key": primary,
        "encryption_key": encryption_key,
    });
    if let (Some(seed), Some(members)) = (drawn, object.as_object_mut()) {
        members.insert("writer_seed".to_owned(), seed.into());
    }
    report.json(object)
}
