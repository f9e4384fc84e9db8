//! Where fuzzing begins: one or a few good inputs for each target, always the same ones.

use std::sync::LazyLock;
use std::time::Duration;

use handfast_ipfs::{Cid, Draft, EMPTY_PATH};
use handfast_keys::{
    AuthSecret, ContentKey, Digest, ExchangeSecret, InviteSecret, IpnsSecret, MailboxSecret,
    Secret, SwarmSecret, Timestamp, WriterSecret, canonical,
};
use handfast_ledger::snapshot::Included;
use handfast_ledger::{
    Author, Fields, Namespace, Op, RecordId, RecordState, Sealer, SnapshotWriter, SoloRecord,
};
use handfast_pairing::invite::message::{Envelope, Reveal as InviteReveal};
use handfast_pairing::invite::{
    Denial, Grant, Invite, InviteOptions, Member, Request, Response as InviteResponse,
    StructureKey, Terms, Verdict,
};
use handfast_pairing::qr::code::CodeOptions;
use handfast_pairing::qr::literal::{Literal, LiteralCode};
use handfast_pairing::qr::message::{Closed, Message, ProviderGrant, Response, Reveal};
use handfast_pairing::qr::{Code, Consent, Effect, Initiator, Joiner, Setup};
use handfast_ring::directory::Recipient;
use handfast_ring::{
    Admission, DeviceKeys, DeviceManifest, DeviceName, DeviceRing, FeedKeys, Identity, Incarnation,
    PeerDirectory, Role, SignedIdentity, WriterCertificate,
};
use rand::SeedableRng;
use rand::rngs::StdRng;
use serde_bytes::ByteBuf;

use crate::decoders::feed::{Body, Database, Index, Listing, SegmentRef, SnapshotRef};
use crate::decoders::said::Message as Said;
use crate::{invites, mux};

/// When everything happens.
pub(crate) const NOW: Timestamp = Timestamp(1_790_000_000_000);

const CSV: &str = include_str!("../../cli/data/airports.csv");
const LINES: &str = include_str!("../../cli/data/earthquakes.jsonl");

/// The keys of a device.
pub(crate) fn keys(device: u64) -> DeviceKeys {
    static KEYS: LazyLock<Vec<DeviceKeys>> = LazyLock::new(|| {
        let secret = |byte| Secret::from_bytes([byte; 32]);
        (0..4u8)
            .map(|device| DeviceKeys {
                auth: AuthSecret::from_secret(&secret(device * 4 + 1)).expect("a scalar"),
                exchange: ExchangeSecret::from_secret(&secret(device * 4 + 2)).expect("a scalar"),
                ipns: IpnsSecret::from_seed([device * 4 + 3; 32]),
                swarm: SwarmSecret::from_seed([device * 4 + 4; 32]),
            })
            .collect()
    });
    KEYS[usize::try_from(device).unwrap_or(0) % KEYS.len()].clone()
}

pub(crate) fn name() -> IpnsSecret {
    IpnsSecret::from_seed([3; 32])
}

pub(crate) fn writer() -> WriterSecret {
    WriterSecret::from_seed([9; 32])
}

fn grant() -> ProviderGrant {
    let json = r#"{"authToken":"hush","endpoint":"https://pins.example","type":"self-hosted"}"#;
    ProviderGrant::new(json.into()).expect("it is short")
}

/// A device that pairs.
pub(crate) fn setup(device: u64) -> Setup {
    Setup {
        keys: keys(device),
        name: DeviceName::new("laptop").expect("a name"),
        records: 1_000 * device,
        provider: Some(grant()),
        reach: None,
        consent: Consent::Typed,
        members: Vec::new(),
        again: false,
    }
}

/// A code that somebody else shows, and the key of the name at which it goes on.
pub(crate) fn code_of_another() -> (Code, IpnsSecret) {
    let (other, reply) = (keys(3), IpnsSecret::from_seed([0x51; 32]));
    let code = Code::new(
        other.ipns.public(),
        other.auth.public(),
        IpnsSecret::from_seed([0x52; 32]),
        reply.public(),
        ExchangeSecret::from_secret(&Secret::from_bytes([0x53; 32])).expect("a scalar").public(),
        &Digest::from_bytes([0x54; 32]),
        CodeOptions { lifetime: 600, ..CodeOptions::default() },
    );
    (code, reply)
}

/// The code that the first device of a pairing shows.
pub(crate) fn shown_code() -> String {
    let options = CodeOptions { lifetime: 600, ..CodeOptions::default() };
    let shows = Initiator::start(setup(1), options, NOW, &mut StdRng::seed_from_u64(7));
    shows.code().map(ToString::to_string).unwrap_or_default()
}

/// An invite of the envelope profile.
pub(crate) fn invite() -> Invite {
    let terms = Terms::Envelope { verify: None };
    let rng = &mut StdRng::seed_from_u64(3);
    let member = Member::start(terms, InviteOptions::default(), None, NOW, rng);
    member.invite().cloned().expect("a new session shows its invite")
}

/// What an app on blind-pairing hands over.
pub(crate) fn raw_terms() -> Terms {
    Terms::Raw {
        namespace: "notes".to_owned(),
        key: StructureKey::from_bytes([7; 32]),
        encryption_key: Some(Secret::from_bytes([8; 32])),
        additional: Some(b"more".to_vec()),
    }
}

/// What stands in invites, requests, responses and messages.
fn invitations() -> Vec<Vec<u8>> {
    let (invite, seal) = (invite(), InviteSecret::from_seed([3; 32]));
    let exchange = keys(2).exchange.public();
    let (nonce, line) = (Digest::from_bytes([2; 32]), MailboxSecret::from_seed([5; 32]).public());
    let name = || DeviceName::new("phone").expect("a name");
    let envelope = Envelope::new(exchange, nonce, line, name(), None).encode();
    let request = Request::new(&seal, &envelope);
    let receipt = request.open(&seal.public()).expect("its own request");
    let grant =
        Grant { key: StructureKey::from_bytes([7; 32]), encryption_key: None, additional: None };
    let answer = |verdict| InviteResponse::new(&seal.public(), &receipt.session, &verdict);
    let reveal = InviteReveal { nonce, name: name(), verify: true, identity: None };
    let with_nodes = Invite {
        nodes: Some(vec!["88.99.3.86:49737".parse().expect("an address")]),
        ..Invite::new(seal.clone(), StructureKey::from_bytes([7; 32]).discovery_key())
    };
    vec![
        invite.to_bytes().to_vec(),
        invite.to_string().into_bytes(),
        with_nodes.to_bytes().to_vec(),
        request.to_bytes(),
        receipt.to_bytes(),
        answer(Verdict::Confirmed(grant)).to_bytes(),
        answer(Verdict::Denied(Denial::ALL[0])).to_bytes(),
        envelope,
        canonical::encode(&reveal),
        canonical::encode(&invites::map()),
        canonical::encode(&invites::writers()),
    ]
}

/// One message of each kind, behind its kind.
fn sayings() -> Vec<Vec<u8>> {
    let name = name().public();
    let said = [
        Said::Push(name, vec![1; 60]),
        Said::AskRecord(1, name),
        Said::Record(1, None),
        Said::AskBlock(u64::MAX, Cid::of(b"block")),
        Said::Block(2, Some(b"block".to_vec())),
    ];
    said.map(|it| {
        let (kind, contents) = it.encode();
        [&[u8::try_from(kind).expect("kinds are small")], &contents[..]].concat()
    })
    .to_vec()
}

fn snapshot() -> Vec<u8> {
    let tip = segment().segment.tip().clone();
    let mut writer = SnapshotWriter::new(&notes(), vec![Included { id: 3, tip }]);
    let state = RecordState::decode(&history().1[0]).expect("a state");
    let _ = writer.push(RECORD, &state);
    writer.finish(&keys(1).auth).1.encode()
}

fn database() -> Vec<u8> {
    let chunks = vec![(ContentKey::from_bytes([6; 32]), vec![Cid::of(b"block")])];
    let snapshots = vec![SnapshotRef { head: ByteBuf::from(snapshot()), chunks }];
    Database { snapshots }.encode()
}

fn identity(device: u64, role: Role) -> SignedIdentity {
    let keys = keys(device);
    let name = DeviceName::new("phone").expect("a name");
    let (session, nonce) = (Digest::from_bytes([1; 32]), Digest::from_bytes([2; 32]));
    SignedIdentity::sign(Identity::new(&keys, name, role, session, nonce), &keys)
}

fn admission() -> Admission {
    Admission::sign(&keys(1), identity(2, Role::Joiner), Digest::from_bytes([5; 32]))
}

fn notes() -> Namespace {
    Namespace::new("notes").expect("a namespace")
}

const RECORD: RecordId = RecordId::from_bytes([7; 16]);

const FIELDS: &str = r#"{"a":1.5e+300,"b":["x",null,{"é":true}],"c":"\u0000😀","d":-0.001}"#;

fn fields(text: &str) -> Fields {
    Fields::parse(text).expect("a record")
}

/// Two mutations and the states that they make.
fn history() -> (Vec<Vec<u8>>, Vec<Vec<u8>>) {
    let (namespace, secret) = (notes(), writer());
    let mut author = Author::new(&namespace, &secret, None);
    let (mut mutations, mut states, mut state) = (Vec::new(), Vec::new(), RecordState::default());
    let mut take = |op: Op, state: &mut RecordState| {
        let entry = author.append(RECORD, NOW, op).expect("a mutation");
        state.apply(&secret.public(), &entry.mutation);
        mutations.push(entry.bytes);
        states.push(state.encode());
    };
    take(Op::Create { fields: fields(FIELDS) }, &mut state);
    let update = state.update(fields(r#"{"a":2,"new":[]}"#)).expect("an update");
    take(update.expect("something changes"), &mut state);
    let delete = state.delete().expect("a deletion").expect("something changes");
    take(delete, &mut state);
    (mutations, states)
}

fn segment() -> handfast_ledger::SealedBatch {
    let (namespace, secret) = (notes(), writer());
    let mut sealer = Sealer::new(&namespace, &secret, None);
    for number in 0..3 {
        let record = RecordId::from_bytes([number; 16]);
        let solo = SoloRecord { record, timestamp: NOW, fields: fields(FIELDS) };
        sealer.push(solo).expect("it can be sealed");
    }
    sealer.finish().expect("it can be sealed").expect("there are three")
}

fn index() -> [Vec<u8>; 2] {
    let batch = segment();
    let cid = Cid::of(b"block");
    let certificate =
        WriterCertificate::sign(&keys(1), &writer(), "notes", Incarnation::from_bytes([4; 16]));
    let key = ContentKey::from_bytes([6; 32]);
    let segments = vec![
        SegmentRef {
            first: 1,
            last: 2,
            body: Body::Inline(ByteBuf::from(batch.segment.to_body())),
        },
        SegmentRef { first: 3, last: 3, body: Body::Blocks(key, vec![cid]) },
    ];
    let listing = Listing { tip: batch.segment.tip().clone(), archived: 2, segments };
    let index = Index { certificates: vec![certificate], logs: vec![listing], ..Index::default() };
    let (index, archive) = index.part();
    [index.encode(), archive.encode()]
}

/// Good inputs of a target.
pub fn of(target: &str) -> Vec<Vec<u8>> {
    let rng = &mut StdRng::seed_from_u64(3);
    let bytes = |texts: &[&str]| texts.iter().map(|it| it.as_bytes().to_vec()).collect();
    match target {
        "code" => {
            let literal = LiteralCode::new(&keys(1), name(), Some(grant()));
            vec![shown_code().into_bytes(), literal.to_string().into_bytes()]
        }
        "name" => {
            let cid = Cid::of(b"block");
            let name = handfast_ipfs::Name::of(name().public());
            let texts = [cid.to_string(), name.to_string(), "2026-11-22T03:44:35.5Z".to_owned()];
            let mut seeds: Vec<Vec<u8>> = texts.into_iter().map(String::into_bytes).collect();
            seeds.push(cid.to_bytes().to_vec());
            seeds
        }
        "record" => {
            let mut draft = Draft::new(EMPTY_PATH, 7, NOW + Duration::from_secs(60));
            let plain = draft.clone().sign(&name());
            draft.extra.insert("_handfast".into(), vec![0x80]);
            draft.v1_compatible = false;
            let records = [plain, draft.sign(&name())];
            records.into_iter().flatten().map(|it| it.as_bytes().to_vec()).collect()
        }
        "identity" => vec![
            canonical::encode(&identity(2, Role::Joiner)),
            canonical::encode(&admission()),
            canonical::encode(&WriterCertificate::sign(
                &keys(1),
                &writer(),
                "notes",
                Incarnation::from_bytes([4; 16]),
            )),
        ],
        "manifest" => {
            let cids = || vec![Cid::of(b"block")];
            let manifest = DeviceManifest {
                version: handfast_ring::manifest::FEED_VERSION,
                ipns: keys(1).ipns.public(),
                sequence: 1,
                exchange: keys(1).exchange.public(),
                directory: cids(),
                ring: cids(),
                database: Vec::new(),
                archive: cids(),
                index: cids(),
            };
            vec![manifest.sign(&keys(1).auth)]
        }
        "directory" => {
            let feed = FeedKeys::generate(rng);
            let peer = identity(2, Role::Joiner);
            let transcript = Digest::from_bytes([5; 32]);
            let recipients = [Recipient { peer: peer.identity(), transcript }];
            let publisher = identity(1, Role::Initiator);
            vec![PeerDirectory::seal(&keys(1), publisher, &feed, &recipients, rng).encode()]
        }
        "ring" => {
            let mut ring = DeviceRing::default();
            let empty = ring.encode();
            ring.admit(admission());
            ring.note_sequence(keys(2).device_id(), 9);
            vec![empty, ring.encode()]
        }
        "index" => [vec![Index::default().encode()], index().to_vec()].concat(),
        "mutation" => history().0,
        "state" => history().1,
        "segment" => {
            let body = segment().segment.to_body();
            let plain = miniz_oxide::inflate::decompress_to_vec(&body).unwrap_or_default();
            vec![body, plain]
        }
        "snapshot" => vec![snapshot()],
        "database" => vec![Database::default().encode(), database()],
        "json" => bytes(&[FIELDS, r#"[1e-7,"\ud83e\udd80",{"b":{"":0},"a":[[]]}]"#, " -0.0 "]),
        "message" => {
            let (identity, line) = (identity(2, Role::Joiner), name().public());
            let locked = Digest::from_bytes([8; 32]);
            let reveal =
                Reveal { locked, identity: identity.clone(), has_provider: true, records: 3 };
            let response = Response { identity, line, has_provider: false, records: 4 };
            let sealed = || ByteBuf::from(vec![1; 40]);
            let line = vec![
                Message::Reveal(sealed()),
                Message::Confirmed(sealed()),
                Message::Published(sealed()),
                Message::Closed(Closed::Mismatch),
            ];
            vec![
                response.encode(),
                reveal.encode(),
                canonical::encode(&Some(grant())),
                canonical::encode(&line),
            ]
        }
        "session" => sessions(),
        "line" => {
            let answer = Joiner::start(setup(2), parsed(&shown_code_for_lines()), NOW, rng);
            let mut answer = answer.expect("nothing is against it");
            let mut seeds: Vec<Vec<u8>> = std::iter::from_fn(|| answer.poll())
                .filter_map(|effect| match effect {
                    Effect::Publish(record) => record.extra("_handfast").map(<[u8]>::to_vec),
                    _ => None,
                })
                .map(|carried| [&[0], &carried[..]].concat())
                .collect();
            let line = vec![
                Message::Reveal(ByteBuf::from(vec![1; 60])),
                Message::Closed(Closed::Declined),
            ];
            seeds.push([&[5], &canonical::encode(&line)[..]].concat());
            seeds
        }
        "pairing" | "literal" => (0..3)
            .map(|consent| {
                // Everything in turn, and once with a restart in every round.
                let round = [0, 1, 8, 9, 12, 13, 20, 21];
                let restarts = [0, 1, 26, 8, 27, 9, 12, 13, 20, 21];
                let mut operations = vec![consent];
                operations.extend((0..10).flat_map(|_| round));
                operations.extend((0..5).flat_map(|_| restarts));
                operations
            })
            .collect(),
        "csv" => {
            let start: String = CSV.lines().take(4).map(|line| format!("{line}\n")).collect();
            let others = "a;b\r\n1;\"x\ny\"\"z\"\r\n\r2;\r3;\"\r4;5\n";
            bytes(&[&start, others, "\u{feff}a\tb\n\"42\"\t[1,{}]\n\"x\"y\t1\n"])
        }
        "files" => {
            let start: Vec<&str> = LINES.lines().take(2).collect();
            let array = format!("[{},\n{}]", start[0], start[1]);
            bytes(&[&start.join("\n"), &array, "[1,{},\"x]\",[{}],nul , {\"a\":\"\\ud800\"}"])
        }
        "live" => sayings(),
        "mux" => mux::conversations(),
        "invite" => invitations(),
        "invited" => invites::sessions(),
        "exchange" => (0..4)
            .map(|terms| {
                // Asked and answered live or through the DHT, everything in turn.
                let live = [0, 3, 255, 4, 0, 5, 0, 12, 13, 16, 17];
                let mailbox = [1, 3, 255, 8, 9, 10, 10, 10, 11, 11, 11, 12, 13, 16, 17];
                let mut operations = vec![terms];
                operations.extend((0..8).flat_map(|_| live));
                operations.extend((0..4).flat_map(|_| mailbox));
                operations
            })
            .collect(),
        _ => Vec::new(),
    }
}

/// The code of the machine in the target `line`.
fn shown_code_for_lines() -> String {
    let options = CodeOptions { lifetime: 600, ..CodeOptions::default() };
    let shows = Initiator::start(setup(1), options, NOW, &mut StdRng::seed_from_u64(1));
    shows.code().map(ToString::to_string).unwrap_or_default()
}

fn parsed(text: &str) -> Code {
    match Code::parse(text) {
        Ok(handfast_pairing::qr::ScannedCode::Code(code)) => code,
        _ => panic!("a code that was shown can be scanned"),
    }
}

/// The first session of each kind, behind the number of its kind.
fn sessions() -> Vec<Vec<u8>> {
    let rng = &mut StdRng::seed_from_u64(3);
    let options = CodeOptions { lifetime: 600, ..CodeOptions::default() };
    let shows = Initiator::start(setup(1), options, NOW, rng);
    let (code, _) = code_of_another();
    let scans = Joiner::start(setup(1), code, NOW, rng).expect("nothing is against it");
    let literal = Literal::initiate(setup(1), None, Duration::from_secs(600), NOW, rng);
    let kinds = [shows.to_bytes(NOW), scans.to_bytes(NOW), literal.to_bytes(NOW)];
    (0..).zip(kinds).map(|(kind, bytes)| [&[kind], &bytes[..]].concat()).collect()
}
