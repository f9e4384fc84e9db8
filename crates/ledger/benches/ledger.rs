//! What the ledger costs: 100 000 records of about 200 bytes, on one core.
//!
//! `cargo bench -p handfast-ledger`
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::print_stderr,
    missing_docs,
    reason = "a benchmark"
)]

use std::collections::BTreeMap;
use std::hint::black_box;

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use handfast_keys::{AuthSecret, Timestamp, WriterSecret};
use handfast_ledger::{
    Fields, Namespace, RecordId, RecordState, Sealed, SealedBatch, Sealer, Segment, SnapshotReader,
    SnapshotWriter, SoloRecord, Value,
};
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use rand::{RngExt, SeedableRng};

const COUNT: usize = 100_000;

/// Contacts with nine fields, as a store keeps them: canonical JSON text.
fn records() -> Vec<(RecordId, Timestamp, String)> {
    let first: Vec<&str> = "Anna Marta Jan Piotr Olga Sofia Liam Noah Emma Mia Lucas Hugo Chloé \
        Jürgen Zoë Kofi Amara Wei Yuki Hana Omar Layla Ivan Elena Mateo Lucía"
        .split_whitespace()
        .collect();
    let last: Vec<&str> = "Kowalska Nowak Müller Schmidt García Martínez Rossi Bianchi Dubois \
        Laurent Smith Johnson Okafor Mensah Tanaka Suzuki Wang Li Haddad Petrov Silva Jensen"
        .split_whitespace()
        .collect();
    let place: Vec<&str> = "Gdańsk Berlin Madrid Roma Paris London Lagos Accra Tokyo Osaka Beirut \
        Lisboa Oslo København Warszawa Wien"
        .split_whitespace()
        .collect();
    let words: Vec<&str> = "call back about invoice prefers email met at fair likes the blue one \
        wants quote next week sent sample waiting for reply new address moved office colleague of \
        friend bought twice discount"
        .split_whitespace()
        .collect();
    let mut rng = StdRng::seed_from_u64(1);
    (0..COUNT)
        .map(|index| {
            let mut any = |words: &[&str]| (*words.choose(&mut rng).unwrap()).to_owned();
            let (given, family, city) = (any(&first), any(&last), any(&place));
            let note: Vec<String> = (0..2 + index % 5).map(|_| any(&words)).collect();
            let street = any(&words);
            let text = format!(
                r#"{{"active":{},"balance":{}.{},"city":"{city}","code":"C-{index:06}","email":"{}.{}{}@example.org","name":"{given} {family}","note":"{}","phone":"+48 {:09}","street":"{street} Street {}"}}"#,
                rng.random_bool(0.8),
                rng.random_range(0..5000),
                rng.random_range(11..100) / 10 * 10 + 1,
                given.to_lowercase(),
                family.to_lowercase(),
                rng.random_range(0..100),
                note.join(" "),
                rng.random_range(0..1_000_000_000),
                rng.random_range(1..200),
            );
            let time = Timestamp(1_760_000_000_000 + index as u64 * 37 + rng.random_range(0..30));
            (RecordId::generate(time, &mut rng), time, text)
        })
        .collect()
}

fn solo((record, timestamp, text): &(RecordId, Timestamp, String)) -> SoloRecord {
    SoloRecord { record: *record, timestamp: *timestamp, fields: Fields::parse(text).unwrap() }
}

fn batches(records: &[(RecordId, Timestamp, String)]) -> Vec<SealedBatch> {
    let secret = WriterSecret::from_seed([1; 32]);
    let mut sealer = Sealer::new(&Namespace::new("contacts").unwrap(), &secret, None);
    let mut batches = Vec::new();
    for record in records {
        batches.extend(sealer.push(solo(record)).unwrap());
    }
    batches.extend(sealer.finish().unwrap());
    batches
}

/// Everything from the stored text to sealed blocks.
fn seal_all(records: &[(RecordId, Timestamp, String)], rng: &mut StdRng) -> Vec<Vec<u8>> {
    let secret = WriterSecret::from_seed([1; 32]);
    let mut sealer = Sealer::new(&Namespace::new("contacts").unwrap(), &secret, None);
    let mut blocks = Vec::new();
    let mut seal = |batch: Option<SealedBatch>| {
        if let Some(SealedBatch { segment, rows }) = batch {
            blocks.extend(Sealed::new(segment.to_body(), rng).blocks());
            black_box(rows);
        }
    };
    for record in records {
        seal(sealer.push(solo(record)).unwrap());
    }
    seal(sealer.finish().unwrap());
    blocks
}

fn apply(bodies: &[Vec<u8>]) -> BTreeMap<RecordId, Vec<u8>> {
    let mut rows = BTreeMap::new();
    for body in bodies {
        let verified = Segment::from_body(body).unwrap().verify().unwrap();
        let writer = verified.log().writer;
        for entry in verified.entries() {
            let mut state = RecordState::default();
            state.apply(&writer, &entry.mutation);
            rows.insert(entry.mutation.record(), state.encode());
        }
    }
    rows
}

fn ledger(c: &mut Criterion) {
    let records = records();
    let mut rng = StdRng::seed_from_u64(2);
    let json: usize = records.iter().map(|(_, _, text)| text.len()).sum();
    let wire: usize = seal_all(&records, &mut rng).iter().map(Vec::len).sum();
    let made = batches(&records);
    let rows: usize = made.iter().flat_map(|batch| &batch.rows).map(|row| row.state.len()).sum();
    let plain: usize = made.iter().map(|batch| batch.segment.size()).sum();
    let each = |bytes: usize| bytes as f64 / COUNT as f64;
    eprintln!(
        "bytes a record: {:.1} JSON, {:.1} mutation, {:.1} on the wire, {:.1} row",
        each(json),
        each(plain),
        each(wire),
        each(rows)
    );
    let bodies: Vec<Vec<u8>> = made.iter().map(|batch| batch.segment.to_body()).collect();

    let mut group = c.benchmark_group("100 000 records");
    group.sample_size(10).throughput(Throughput::Elements(COUNT as u64));
    group.bench_function("seal, from text to sealed blocks", |b| {
        b.iter(|| seal_all(&records, &mut rng));
    });
    group.bench_function("  read the text", |b| {
        b.iter(|| records.iter().map(|r| solo(r).fields.len()).sum::<usize>());
    });
    group.bench_function("  chain, sign, rows (text included)", |b| b.iter(|| batches(&records)));
    group.bench_function("  encode and compress", |b| {
        b.iter(|| made.iter().map(|batch| batch.segment.to_body().len()).sum::<usize>());
    });
    group.bench_function("expand, decode, verify", |b| {
        b.iter(|| {
            let read = |body| Segment::from_body(body).unwrap().verify().unwrap();
            bodies.iter().map(|body| read(body).entries().len()).sum::<usize>()
        });
    });
    group.bench_function("expand, decode, verify, apply, rows", |b| b.iter(|| apply(&bodies)));

    let rows = apply(&bodies);
    let publisher = AuthSecret::generate(&mut rng);
    let write = || {
        let mut writer = SnapshotWriter::new(&Namespace::new("contacts").unwrap(), Vec::new());
        let mut chunks = Vec::new();
        for (record, row) in &rows {
            let state = RecordState::decode(row).unwrap();
            chunks.extend(writer.push(*record, &state).unwrap());
        }
        let (last, snapshot) = writer.finish(&publisher);
        chunks.extend(last);
        (snapshot, chunks)
    };
    let (snapshot, chunks) = write();
    let size: usize = chunks.iter().map(Vec::len).sum();
    eprintln!("bytes a record: {:.1} in a snapshot", each(size));
    group.bench_function("snapshot, from rows", |b| b.iter(write));
    group.bench_function("snapshot, read", |b| {
        b.iter(|| {
            let mut reader = SnapshotReader::new(snapshot.clone(), &publisher.public()).unwrap();
            let count: usize = chunks.iter().map(|chunk| reader.read(chunk).unwrap().len()).sum();
            reader.finish().unwrap();
            count
        });
    });
    group.finish();

    let text = records[0].2.clone();
    let loose = text.replace(':', ": ").replace(',', ", ");
    let mut group = c.benchmark_group("one value");
    group.throughput(Throughput::Bytes(text.len() as u64));
    group.bench_function("canonical already", |b| {
        b.iter_batched(|| &text, |text| Value::parse(text).unwrap(), BatchSize::SmallInput);
    });
    group.bench_function("not canonical", |b| {
        b.iter_batched(|| &loose, |text| Value::parse(text).unwrap(), BatchSize::SmallInput);
    });
    group.finish();
}

criterion_group!(benches, ledger);
criterion_main!(benches);
