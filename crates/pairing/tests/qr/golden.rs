//! Bytes of the protocol, written down once. If one of these changes, devices of two versions do
//! not understand each other any more, or show their people different emojis.
//!
//! `tests/golden/pairing-qr.json` holds the secrets that go in (in hex) and what comes out. Where
//! sealing draws randomness, the sealed bytes are kept and have to open.

use data_encoding::HEXLOWER;
use handfast_keys::{
    AuthSecret, Digest, ExchangeSecret, Fingerprint, IpnsSecret, Secret, SwarmSecret,
};
use handfast_pairing::qr::Code;
use handfast_pairing::qr::code::CodeOptions;
use handfast_pairing::qr::literal::LiteralCode;
use handfast_pairing::qr::message::{
    Channel, Message, Response, Reveal, SealedResponse, check_code, transcript,
};
use handfast_ring::{DeviceKeys, DeviceName, Identity, Role, SignedIdentity};
use rand::SeedableRng;
use rand::rngs::StdRng;
use serde_json::{Value, json};

use crate::network::{carried, carrying};
use crate::party::{grant, scanned, scanned_literal};

const PATH: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden/pairing-qr.json");

fn hex(bytes: impl AsRef<[u8]>) -> String {
    HEXLOWER.encode(bytes.as_ref())
}

fn secret(byte: u8) -> Secret<32> {
    Secret::from_bytes([byte; 32])
}

/// Keys made of one byte each.
fn keys(first: u8) -> DeviceKeys {
    DeviceKeys {
        auth: AuthSecret::from_secret(&secret(first)).unwrap(),
        exchange: ExchangeSecret::from_secret(&secret(first + 1)).unwrap(),
        ipns: IpnsSecret::from_seed([first + 2; 32]),
        swarm: SwarmSecret::from_seed([first + 3; 32]),
    }
}

struct Pairing {
    laptop: DeviceKeys,
    phone: DeviceKeys,
    ephemeral: ExchangeSecret,
    code: Code,
    response: Response,
    nonce: Digest,
}

fn pairing() -> Pairing {
    let (laptop, phone) = (keys(0x10), keys(0x20));
    let ephemeral = ExchangeSecret::from_secret(&secret(0x32)).unwrap();
    let nonce = Digest::from_bytes([0x33; 32]);
    let code = Code::new(
        laptop.ipns.public(),
        laptop.auth.public(),
        IpnsSecret::from_seed([0x30; 32]),
        IpnsSecret::from_seed([0x31; 32]).public(),
        ephemeral.public(),
        &nonce,
        CodeOptions { lifetime: 600, ..CodeOptions::default() },
    );
    let response = Response {
        identity: identity(&phone, "phone", Role::Joiner, &code, [0x34; 32]),
        line: IpnsSecret::from_seed([0x35; 32]).public(),
        has_provider: false,
        records: 3_201,
    };
    Pairing { laptop, phone, ephemeral, code, response, nonce }
}

fn identity(
    keys: &DeviceKeys,
    name: &str,
    role: Role,
    code: &Code,
    nonce: [u8; 32],
) -> SignedIdentity {
    let name = DeviceName::new(name).unwrap();
    let nonce = Digest::from_bytes(nonce);
    SignedIdentity::sign(Identity::new(keys, name, role, code.hash(), nonce), keys)
}

impl Pairing {
    fn reveal(&self, locked: &SealedResponse) -> Reveal {
        Reveal {
            locked: locked.hash(),
            identity: identity(&self.laptop, "laptop", Role::Initiator, &self.code, [0x33; 32]),
            has_provider: true,
            records: 12_000,
        }
    }

    /// Everything that is the same every time, given the sealed response.
    fn fixed(&self, sealed: &SealedResponse) -> Value {
        let reveal = self.reveal(sealed);
        let session = self.code.hash();
        let check = check_code(&session, &self.response, &self.nonce);
        let closed: Vec<String> =
            ["declined", "expired", "equivocation", "mismatch", "no-provider"]
                .map(|word| {
                    hex(handfast_keys::canonical::encode(&[(
                        "closed",
                        serde_bytes::Bytes::new(word.as_bytes()),
                    )]))
                })
                .into();
        json!({
            "code": self.code.to_string(),
            "hash of the code": hex(session),
            "commitment": hex(self.code.commitment),
            "response": hex(self.response.encode()),
            "hash of the sealed response": hex(sealed.hash()),
            "reveal": hex(reveal.encode()),
            "transcript": hex(transcript(&session, &self.response, &reveal)),
            "emojis": check.emojis().indices(),
            "digits": check.digits(),
            "back digits": check.back_digits(),
            "closed lines": closed,
        })
    }
}

fn literal() -> (LiteralCode, DeviceKeys) {
    let code = LiteralCode::new(&keys(0x10), IpnsSecret::from_seed([0x30; 32]), Some(grant()));
    (code, keys(0x20))
}

fn fixed_literal() -> Value {
    let (code, phone) = literal();
    let fingerprint = Fingerprint::of_device(&phone.ipns.public(), &phone.auth.public());
    json!({
        "code": code.to_string(),
        "hash of the code": hex(code.hash()),
        "emojis": fingerprint.indices(),
    })
}

/// What is committed. With `HANDFAST_WRITE_GOLDEN` set it is written anew first: only for when the
/// protocol is meant to change.
fn golden() -> Value {
    static WRITE: std::sync::Once = std::sync::Once::new();
    if std::env::var_os("HANDFAST_WRITE_GOLDEN").is_some() {
        WRITE.call_once(write);
    }
    serde_json::from_str(&std::fs::read_to_string(PATH).unwrap()).unwrap()
}

fn bytes(value: &Value) -> Vec<u8> {
    HEXLOWER.decode(value.as_str().unwrap().as_bytes()).unwrap()
}

/// Writes the file anew.
fn write() {
    let pairing = pairing();
    let rng = &mut StdRng::seed_from_u64(1);
    let sealed = pairing.response.seal(&pairing.code, rng);
    let reveal = pairing.reveal(&sealed);
    let session = pairing.code.hash();
    let transcript = transcript(&session, &pairing.response, &reveal);
    let exchange = pairing.response.identity.identity().exchange;
    let channel = Channel {
        transcript: &transcript,
        own: &pairing.laptop.exchange,
        peer: &exchange,
        role: Role::Initiator,
    };
    let line = vec![
        Message::Reveal(serde_bytes::ByteBuf::from(reveal.seal(&session, &exchange, rng))),
        channel.confirm(Some(&grant()), rng),
        channel.publish(b"a record", rng),
    ];
    let reply = IpnsSecret::from_seed([0x31; 32]);
    let line = carrying(&reply, &handfast_keys::canonical::encode(&line), 3);
    let value = json!({
        "version 2": pairing.fixed(&sealed),
        "sealed response": hex(sealed.as_bytes()),
        "the initiator's line": hex(line.as_bytes()),
        "version 1": fixed_literal(),
    });
    let text = serde_json::to_string_pretty(&value).unwrap() + "\n";
    std::fs::write(PATH, text).unwrap();
}

#[test]
fn the_bytes_of_version_2() {
    let (golden, pairing) = (golden(), pairing());
    let sealed = SealedResponse::from_bytes(&bytes(&golden["sealed response"]));
    let opened = sealed.open(&pairing.code, &pairing.ephemeral).unwrap();
    assert_eq!(opened, pairing.response);
    assert_eq!(pairing.fixed(&sealed), golden["version 2"]);
    assert_eq!(scanned(golden["version 2"]["code"].as_str().unwrap()), pairing.code);
}

#[test]
fn what_was_sealed_opens() {
    let (golden, pairing) = (golden(), pairing());
    let name = handfast_ipfs::Name::of(pairing.code.reply);
    let line = bytes(&golden["the initiator's line"]);
    let line = handfast_ipfs::Record::parse(&name, &line, None).unwrap();
    let line: Vec<Message> = handfast_keys::canonical::decode(carried(&line), 10_240).unwrap();
    let [Message::Reveal(reveal), Message::Confirmed(confirmed), Message::Published(published)] =
        line.as_slice()
    else {
        panic!("{line:?}");
    };
    let session = pairing.code.hash();
    let sealed = SealedResponse::from_bytes(&bytes(&golden["sealed response"]));
    let opened = Reveal::open(reveal, &session, &sealed.hash(), &pairing.phone.exchange).unwrap();
    assert_eq!(opened, pairing.reveal(&sealed));
    let transcript = transcript(&session, &pairing.response, &opened);
    let channel = Channel {
        transcript: &transcript,
        own: &pairing.phone.exchange,
        peer: &opened.identity.identity().exchange,
        role: Role::Joiner,
    };
    assert_eq!(channel.open_confirmed(confirmed), Some(Some(grant())));
    assert_eq!(channel.open_published(published).unwrap(), b"a record");
    assert_eq!(channel.open_confirmed(published), None);
}

#[test]
fn the_bytes_of_version_1() {
    let golden = golden();
    assert_eq!(fixed_literal(), golden["version 1"]);
    assert_eq!(scanned_literal(golden["version 1"]["code"].as_str().unwrap()), literal().0);
}

/// The hashes, written out: SHA-256 over the label and every field, each after its length.
#[test]
fn the_hashes_are_what_the_protocol_says() {
    let hash = |label: &str, fields: &[&[u8]]| {
        let mut bytes = Vec::new();
        for field in [label.as_bytes()].iter().chain(fields) {
            bytes.extend((field.len() as u32).to_be_bytes());
            bytes.extend_from_slice(field);
        }
        Digest::sha256(&bytes)
    };
    let pairing = pairing();
    let code = &pairing.code;
    let text = code.to_string();
    let cbor = data_encoding::BASE32_NOPAD.decode(&text.as_bytes()["HANDFAST:".len()..]).unwrap();
    let (cbor, checksum) = cbor.split_last_chunk::<4>().unwrap();
    assert_eq!(code.hash(), hash("handfast/pairing/2/code", &[cbor]));
    assert_eq!(code.hash().as_bytes()[..4], *checksum);
    assert_eq!(
        code.commitment,
        hash(
            "handfast/pairing/2/commitment",
            &[
                code.ipns.as_ref(),
                &code.auth.uncompressed(),
                code.temp.public().as_ref(),
                code.reply.as_ref(),
                &code.ephemeral.uncompressed(),
                pairing.nonce.as_ref(),
            ],
        )
    );
    let sealed = SealedResponse::from_bytes(b"S");
    assert_eq!(sealed.hash(), hash("handfast/pairing/2/sealed-response", &[b"S"]));
    let (session, response) = (code.hash(), pairing.response.encode());
    let fields: [&[u8]; 3] = [session.as_ref(), &response, pairing.nonce.as_ref()];
    let check = hash("handfast/pairing/2/check-code", &fields);
    let shown = check_code(&session, &pairing.response, &pairing.nonce);
    assert_eq!(shown.emojis().indices(), check.as_bytes()[..4]);
    assert_eq!(shown.back_digits(), format!("{:02}", check.as_bytes()[4] % 100));
    let reveal = pairing.reveal(&sealed);
    let fields: [&[u8]; 3] = [session.as_ref(), &response, &reveal.encode()];
    assert_eq!(
        transcript(&session, &pairing.response, &reveal),
        hash("handfast/pairing/2/transcript", &fields)
    );
    let (literal, phone) = literal();
    let json = literal.to_string();
    assert_eq!(literal.hash(), hash("handfast/pairing/1/code", &[json.as_bytes()]));
    let keys = [phone.ipns.public().as_ref(), &phone.auth.public().uncompressed()].concat();
    let fingerprint = Fingerprint::of_device(&phone.ipns.public(), &phone.auth.public());
    assert_eq!(fingerprint.indices(), Digest::sha256(&keys).as_bytes()[..4]);
}
