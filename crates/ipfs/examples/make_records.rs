//! Writes records of every shape that Handfast publishes into a directory, with a description, for
//! other implementations to check: `cargo run -p handfast-ipfs --example make_records -- DIRECTORY`.

use std::error::Error;
use std::path::Path;
use std::{env, fs};

use handfast_ipfs::{Cid, Draft, EMPTY_PATH, Eol, MAX_SEQUENCE, Record};
use handfast_keys::IpnsSecret;
use serde_json::{Map, Value, json};

/// The key of the extra field in which pairing messages travel.
const EXTRA: &str = "_handfast";

fn main() -> Result<(), Box<dyn Error>> {
    let directory = env::args().nth(1).ok_or("usage: make_records DIRECTORY")?;
    let directory = Path::new(&directory);
    fs::create_dir_all(directory)?;
    let eol = Eol::parse(b"2126-01-01T00:00:00Z")?.timestamp();
    let block = Cid::of(b"Hello World!").path();

    let draft = |value: &str, sequence, extra: Option<usize>, v1_compatible| {
        let mut draft = Draft::new(value, sequence, eol);
        draft.v1_compatible = v1_compatible;
        if let Some(len) = extra {
            draft.ttl_ns = 1_000_000_000;
            draft.extra.insert(EXTRA.into(), (0..=u8::MAX).cycle().take(len).collect());
        }
        draft
    };
    let drafts = [
        // File, seed, draft, whether it is the one that counts of its name's records.
        ("v1-v2", 1, draft(&block, 1, None, true), true),
        ("v2-only", 2, draft(&block, 1, None, false), true),
        ("handfast-600", 3, draft(EMPTY_PATH, 1, Some(600), true), true),
        ("handfast-600-v2-only", 4, draft(EMPTY_PATH, 1, Some(600), false), true),
        ("handfast-3000", 5, draft(EMPTY_PATH, 1, Some(3000), true), true),
        ("handfast-3000-v2-only", 6, draft(EMPTY_PATH, 1, Some(3000), false), true),
        ("older", 7, draft(&block, MAX_SEQUENCE - 1, None, true), false),
        ("newer", 7, draft(EMPTY_PATH, MAX_SEQUENCE, None, false), true),
    ];
    let mut described = Vec::new();
    for (file, seed, draft, selected) in drafts {
        let v2_only = !draft.v1_compatible;
        let extra = describe_extra(&draft);
        let record = draft.sign(&IpnsSecret::from_seed([seed; 32]))?;
        let file = format!("{file}.ipns-record");
        fs::write(directory.join(&file), record.as_bytes())?;
        described.push(describe(&file, &record, v2_only, extra, selected));
    }
    fs::write(directory.join("records.json"), Value::Array(described).to_string())?;
    Ok(())
}

fn describe_extra(draft: &Draft) -> Map<String, Value> {
    let fields = draft.extra.iter();
    fields.map(|(key, bytes)| (key.clone(), hex(bytes).into())).collect()
}

fn describe(
    file: &str,
    record: &Record,
    v2_only: bool,
    extra: Map<String, Value>,
    selected: bool,
) -> Value {
    json!({
        "file": file,
        "name": record.name().to_string(),
        "peerId": record.name().peer_id(),
        "routingKey": hex(&record.name().routing_key()),
        "value": record.value(),
        "sequence": record.sequence().to_string(),
        "eol": record.validity().to_string(),
        "ttlNs": record.ttl_ns().to_string(),
        "v2Only": v2_only,
        "extra": extra,
        "selected": selected,
    })
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
