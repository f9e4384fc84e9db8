//! `handfast status`: how a device is.

use std::collections::BTreeMap;

use handfast::{CollectionInfo, Digest, Status, content_hash};
use serde_json::{Value, json};

use crate::home::Home;
use crate::report::wording::{ago, count, line, moment, number, padded, widest};
use crate::report::{CliError, Report, patiently};

/// What to tell.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  handfast status
  handfast status --hash
  handfast status --json")]
pub struct Args {
    /// Also read every record, for hashes that are the same on all devices in step
    #[arg(long)]
    hash: bool,
}

/// Runs it.
pub async fn run(args: Args, home: &Home, report: &Report) -> Result<(), CliError> {
    let device = home.open()?;
    let status = device.status()?;
    let hashes = match args.hash {
        true => patiently(report, "Reading every record", move || Ok(device.hashes()?)).await?,
        false => BTreeMap::new(),
    };
    for (what, how) in facts(&status, home) {
        report.say(format_args!("{}  {how}", report.ink().dim(padded(what, 9))))?;
    }
    collections(&status.collections, &hashes, report)?;
    if status.pairing_pending {
        report.hint(
            "`handfast pair --resume` goes on with the pairing, or `handfast invite --resume` or \
             `handfast join --resume`, whichever began it; --cancel drops it.",
        );
    }
    if status.peers > 0 && status.unpublished > 0 {
        report.hint("`handfast sync` publishes what waits.");
    }
    report.json(json!({
        "id": status.id.to_string(),
        "name": status.name.as_str(),
        "home": home.path().display().to_string(),
        "provider": status.provider.as_ref().map(|(name, endpoint)| json!({
            "name": name,
            "endpoint": endpoint,
        })),
        "peers": status.peers,
        "pairing_pending": status.pairing_pending,
        "sequence": status.sequence,
        "unpublished": status.unpublished,
        "last_news": status.last_news.map(moment),
        "trouble": status.trouble.as_ref().map(|(since, message)| json!({
            "since": moment(*since),
            "message": message,
        })),
        "collections": status.collections.iter().map(to_json).collect::<Vec<_>>(),
        "hashes": args.hash.then_some(&hashes).map(texts),
        "content_hash": args.hash.then(|| content_hash(&hashes).to_string()),
    }))
}

fn texts(hashes: &BTreeMap<String, Digest>) -> BTreeMap<&str, String> {
    hashes.iter().map(|(name, hash)| (name.as_str(), hash.to_string())).collect()
}

fn facts(status: &Status, home: &Home) -> Vec<(&'static str, String)> {
    let provider = match &status.provider {
        Some((name, Some(endpoint))) => format!("{name} at {}", line(endpoint)),
        Some((name, None)) => name.clone(),
        None => "none".to_owned(),
    };
    let mut devices = match status.peers {
        0 => "knows no other device".to_owned(),
        peers => format!("knows {}", count(peers, "other device")),
    };
    if let Some(news) = status.last_news {
        devices.push_str(&format!(", last news {}", ago(news)));
    }
    let mut facts = vec![
        ("device", format!("{} ({})", status.name, status.id.fmt_short())),
        ("home", home.path().display().to_string()),
        ("provider", provider),
        ("devices", devices),
    ];
    if status.pairing_pending {
        facts.push(("pairing", "not finished".to_owned()));
    }
    if status.peers > 0 {
        let published = match status.sequence {
            Some(sequence) => format!("as number {}", number(sequence)),
            None => "never".to_owned(),
        };
        let waiting = match status.unpublished {
            0 => "nothing waits".to_owned(),
            1 => "1 edit waits".to_owned(),
            edits => format!("{} wait", count(edits, "edit")),
        };
        facts.push(("published", format!("{published}, {waiting}")));
    }
    if let Some((since, trouble)) = &status.trouble {
        facts.push(("trouble", format!("since {}: {}", ago(*since), line(trouble))));
    }
    facts
}

fn collections(
    collections: &[CollectionInfo],
    hashes: &BTreeMap<String, Digest>,
    report: &Report,
) -> Result<(), CliError> {
    if collections.is_empty() {
        return report.say("\nNo records yet.");
    }
    report.say("")?;
    let names: Vec<String> = collections.iter().map(|info| line(&info.name)).collect();
    let records: Vec<String> =
        collections.iter().map(|info| count(info.records, "record")).collect();
    let (name_width, records_width) =
        (widest(names.iter().map(String::as_str)), widest(records.iter().map(String::as_str)));
    for ((info, name), records) in collections.iter().zip(&names).zip(&records) {
        let short: String = match hashes.get(&info.name) {
            Some(hash) => "  ".chars().chain(hash.to_string().chars().take(12)).collect(),
            None => String::new(),
        };
        let conflicts = match info.conflicts {
            0 => String::new(),
            conflicts => report.ink().yellow(format_args!("  {} in conflict", number(conflicts))),
        };
        let told = format!(
            "{}  {}{}{conflicts}",
            padded(name, name_width),
            padded(records, records_width),
            report.ink().dim(short),
        );
        report.say(told.trim_end())?;
    }
    Ok(())
}

fn to_json(info: &CollectionInfo) -> Value {
    json!({
        "name": info.name,
        "records": info.records,
        "conflicts": info.conflicts,
    })
}
