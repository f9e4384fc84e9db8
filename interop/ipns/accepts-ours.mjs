// Puts records that were made by the example `make_records` before the validator of the JavaScript
// implementation of IPNS.
//
//   node accepts-ours.mjs <directory>

import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import * as dagCbor from '@ipld/dag-cbor'
import { multihashToIPNSRoutingKey, unmarshalIPNSRecord } from 'ipns'
import { ipnsSelector } from 'ipns/selector'
import { ipnsValidator } from 'ipns/validator'
import { base36 } from 'multiformats/bases/base36'
import { base58btc } from 'multiformats/bases/base58'
import { CID } from 'multiformats/cid'

const directory = process.argv[2]
if (directory == null) throw new Error('usage: node accepts-ours.mjs <directory>')

const sameBytes = (a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)) === 0
const described = JSON.parse(readFileSync(join(directory, 'records.json'), 'utf8'))
assert.ok(described.length >= 6, 'too few records')

const byName = new Map()
for (const expected of described) {
  const bytes = new Uint8Array(readFileSync(join(directory, expected.file)))
  const cid = CID.parse(expected.name, base36)
  assert.equal(base58btc.baseEncode(cid.multihash.bytes), expected.peerId)
  const routingKey = multihashToIPNSRoutingKey(cid.multihash)
  assert.equal(Buffer.from(routingKey).toString('hex'), expected.routingKey)

  await ipnsValidator(routingKey, bytes)

  const record = unmarshalIPNSRecord(bytes)
  assert.equal(record.value, expected.value)
  assert.equal(record.sequence, BigInt(expected.sequence))
  assert.equal(record.validity, expected.eol)
  assert.equal(record.ttl, BigInt(expected.ttlNs))
  assert.equal('signatureV1' in record, !expected.v2Only)

  // The data is what the strict DAG-CBOR implementation makes of it, extra fields included.
  const data = dagCbor.decode(record.data)
  assert.ok(sameBytes(dagCbor.encode(data), record.data), 'not canonical')
  for (const [key, hex] of Object.entries(expected.extra)) {
    assert.equal(Buffer.from(data[key]).toString('hex'), hex)
  }

  // The validator does look: one changed bit in what is signed, and it refuses.
  const broken = Uint8Array.from(bytes)
  broken[broken.length - 1] ^= 1
  await assert.rejects(ipnsValidator(routingKey, broken))

  const others = byName.get(expected.name) ?? []
  byName.set(expected.name, [...others, { bytes, expected, routingKey }])
  console.log(`accepted: ${expected.file} (${bytes.length} bytes)`)
}

// Of several records of one name, both implementations take the same one.
let selections = 0
for (const records of byName.values()) {
  if (records.length < 2) continue
  const chosen = records[ipnsSelector(records[0].routingKey, records.map(({ bytes }) => bytes))]
  assert.ok(chosen.expected.selected, `${chosen.expected.file} was selected`)
  selections++
}
assert.ok(selections > 0, 'nothing to select from')
console.log(`${described.length} passed, 0 failed`)
