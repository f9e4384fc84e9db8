// Makes the golden records in crates/ipfs/tests/golden with the JavaScript implementation of IPNS.
//
//   node generate.mjs <directory>
//
// Everything is fixed (seeds, moments, values; Ed25519 is deterministic), so the same packages make
// the same bytes every time.

import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import * as dagCbor from '@ipld/dag-cbor'
import { generateKeyPairFromSeed } from '@libp2p/crypto/keys'
import { createIPNSRecordWithExpiration, marshalIPNSRecord } from 'ipns'
import { base36 } from 'multiformats/bases/base36'
import { CID } from 'multiformats/cid'

const directory = process.argv[2]
if (directory == null) throw new Error('usage: node generate.mjs <directory>')
mkdirSync(directory, { recursive: true })

const BLOCK = '/ipfs/bafkreid7qoywk77r7rj3slobqfekdvs57qwuwh5d2z3sqsw52iabe3mqne'
const EMPTY = '/ipfs/bafkqaaa'
const IN_100_YEARS = '2126-01-01T00:00:00.000000000Z'
const FIVE_MINUTES = 300_000_000_000n

const text = new TextEncoder()
const hex = (bytes) => Buffer.from(bytes).toString('hex')
const concat = (...parts) => new Uint8Array(Buffer.concat(parts))

// Bytes that differ from one another but are the same every time.
const filler = (length) => Uint8Array.from({ length }, (_, i) => (i * 31 + 7) % 251)

// Signs the record's data again, with more fields in it, as version 2 of the spec allows.
const withFields = (fields) => async (record, key) => {
  const data = dagCbor.encode({ ...dagCbor.decode(record.data), ...fields })
  const signatureV2 = await key.sign(concat(text.encode('ipns-signature:'), data))
  return { ...record, data, signatureV2 }
}

const cases = [
  { file: 'v1-v2', seed: 7, value: BLOCK, sequence: 1n },
  { file: 'v2-only', seed: 7, value: BLOCK, sequence: 1n, v2Only: true },
  { file: 'sequence-zero-ttl-zero', seed: 8, value: EMPTY, sequence: 0n, ttl: 0n },
  { file: 'highest-sequence', seed: 9, value: BLOCK, sequence: 2n ** 63n - 1n, ttl: 60_000_000_000n },
  { file: 'nanosecond-eol', seed: 10, value: BLOCK, sequence: 5n, eol: '2126-02-28T23:59:59.123456789Z', ours: false },
  { file: 'value-is-another-name', seed: 11, value: '/ipns/k51qzi5uqu5dm0t4vbwri4lkg76q03b4x9tsvekgvbu4zli6454ff7w8wdosa4', sequence: 3n },
  { file: 'handfast-600', seed: 12, value: EMPTY, sequence: 1n, ttl: 1_000_000_000n, extra: { _handfast: filler(600) } },
  { file: 'handfast-3000-v2-only', seed: 13, value: EMPTY, sequence: 2n, ttl: 1_000_000_000n, v2Only: true, extra: { _handfast: filler(3000) } },
  {
    file: 'extra-fields-of-every-kind',
    seed: 14,
    value: EMPTY,
    sequence: 1n,
    extra: { _bytes: filler(3), _empty: new Uint8Array() },
    ours: false,
    change: withFields({
      _text: 'ü',
      _number: -1,
      _large: 2n ** 64n - 1n,
      _smallest: -(2n ** 64n),
      _float: 0.5,
      _bool: true,
      _null: null,
      _list: [1, ['two', { three: filler(3) }]],
      _map: { b: 1, aa: 2 },
      _link: CID.parse('bafkreid7qoywk77r7rj3slobqfekdvs57qwuwh5d2z3sqsw52iabe3mqne'),
      unknown: filler(3)
    })
  },
  {
    file: 'with-public-key',
    seed: 15,
    value: BLOCK,
    sequence: 1n,
    ours: false,
    change: async (record, key) => ({ ...record, pubKey: concat(Uint8Array.of(8, 1, 18, 32), key.publicKey.raw) })
  },
  { file: 'broken-signature-v1', seed: 16, value: BLOCK, sequence: 1n, ours: false, change: async (record) => ({ ...record, signatureV1: text.encode('invalid stuff') }) },

  // What must be refused, and as what.
  { file: 'expired', seed: 17, value: BLOCK, sequence: 1n, eol: '2020-01-01T00:00:00.000000000Z', refused: 'Expired' },
  { file: 'v1-only', seed: 18, value: BLOCK, sequence: 1n, refused: 'NoSignature', change: async ({ data, signatureV2, ...record }) => record },
  { file: 'no-data', seed: 18, value: BLOCK, sequence: 1n, refused: 'NoData', change: async ({ data, ...record }) => record },
  { file: 'broken-signature-v2', seed: 19, value: BLOCK, sequence: 1n, refused: 'BadSignature', change: async (record) => ({ ...record, signatureV2: text.encode('invalid stuff') }) },
  { file: 'other-value-v1', seed: 20, value: BLOCK, sequence: 1n, refused: 'Mismatch(Value)', change: async (record) => ({ ...record, value: EMPTY }) },
  { file: 'other-sequence-v1', seed: 20, value: BLOCK, sequence: 1n, refused: 'Mismatch(Sequence)', change: async (record) => ({ ...record, sequence: 2n }) },
  { file: 'other-ttl-v1', seed: 20, value: BLOCK, sequence: 1n, refused: 'Mismatch(Ttl)', change: async (record) => ({ ...record, ttl: 1n }) },
  { file: 'other-validity-v1', seed: 20, value: BLOCK, sequence: 1n, refused: 'Mismatch(Validity)', change: async (record) => ({ ...record, validity: '2127-01-01T00:00:00.000000000Z' }) },
  {
    file: 'public-key-of-another',
    seed: 21,
    value: BLOCK,
    sequence: 1n,
    refused: 'WrongKey',
    change: async (record) => {
      const other = await generateKeyPairFromSeed('Ed25519', new Uint8Array(32).fill(22))
      return { ...record, pubKey: concat(Uint8Array.of(8, 1, 18, 32), other.publicKey.raw) }
    }
  },
  { file: 'too-large', seed: 23, value: EMPTY, sequence: 1n, extra: { _handfast: filler(10_240) }, refused: 'TooLarge' }
]

const described = []
for (const { file, seed, value, sequence, ttl = FIVE_MINUTES, eol = IN_100_YEARS, v2Only = false, extra = {}, change, refused = null, ours = true } of cases) {
  const secret = new Uint8Array(32).fill(seed)
  const key = await generateKeyPairFromSeed('Ed25519', secret)
  let record = await createIPNSRecordWithExpiration(key, value, sequence, eol, { ttlNs: ttl, v1Compatible: !v2Only })
  if (Object.keys(extra).length > 0) record = await withFields(extra)(record, key)
  if (change != null) record = await change(record, key)
  const marshalled = marshalIPNSRecord(record)
  writeFileSync(join(directory, `${file}.ipns-record`), marshalled)
  described.push({
    file: `${file}.ipns-record`,
    size: marshalled.length,
    seed: hex(secret),
    name: key.publicKey.toCID().toString(base36),
    peerId: key.publicKey.toString(),
    value,
    sequence: `${sequence}`,
    eol,
    ttlNs: `${ttl}`,
    v2Only,
    extra: Object.fromEntries(Object.entries(refused == null ? extra : {}).map(([key, bytes]) => [key, hex(bytes)])),
    // The variant of RecordError as which the record is refused.
    refused,
    // Whether a draft of ours with the same fields becomes the same bytes.
    ours: ours && refused == null
  })
}
writeFileSync(join(directory, 'records.json'), JSON.stringify(described, null, 2) + '\n')
console.log(`${described.length} records in ${directory}`)
