// The official client of Kubo's RPC, `kubo-rpc-client`, against `handfast host`.

import assert from 'node:assert/strict'
import { createHash, randomBytes } from 'node:crypto'
import { after, before, test } from 'node:test'
import { host } from '../handfast.mjs'
import { create } from 'kubo-rpc-client'
import { generateKeyPair } from '@libp2p/crypto/keys'
import { createIPNSRecord, marshalIPNSRecord } from 'ipns'
import { base36 } from 'multiformats/bases/base36'
import { CID } from 'multiformats/cid'
import * as raw from 'multiformats/codecs/raw'
import { create as digest } from 'multiformats/hashes/digest'

const MAX_BLOCK = 262_144
const MANY = 1_200

let served
let ipfs
before(async () => {
  served = await host()
  ipfs = withToken(served.token)
})
after(async () => assert.equal(await served?.command.stop(), 0))

function withToken (token) {
  const headers = token == null ? {} : { authorization: `Bearer ${token}` }
  return create({ url: served.url, headers })
}

const cidOf = bytes =>
  CID.create(1, raw.code, digest(0x12, createHash('sha256').update(bytes).digest()))
const missing = () => cidOf(randomBytes(32))
const refused = (status, message) => error => {
  assert.equal(error.name, 'HTTPError')
  assert.equal(error.response.status, status, error.message)
  assert.match(error.message, message)
  return true
}
async function list (iterable) {
  const all = []
  for await (const item of iterable) all.push(item)
  return all
}
const pinned = async options =>
  (await list(ipfs.pin.ls(options))).map(pin => `${pin.type} ${pin.cid}`).sort()
const recursive = cids => cids.map(cid => `recursive ${cid}`).sort()

test('version', async () => {
  const version = await ipfs.version()
  assert.match(version.version, /^\d+\.\d+\.\d+$/)
  assert.equal(version.repo, '1')
  assert.equal(version.agent, `handfast-host/${version.version}`)
})

test('without the token, and with another, nothing is granted', async () => {
  for (const stranger of [withToken(null), withToken('0123456789abcdef'), withToken('')]) {
    const denied = refused(403, /Access Denied/)
    await assert.rejects(stranger.version(), denied)
    await assert.rejects(stranger.block.put(randomBytes(10)), denied)
    await assert.rejects(stranger.block.get(missing()), denied)
    await assert.rejects(stranger.block.stat(missing()), denied)
    await assert.rejects(stranger.pin.add(missing()), denied)
    await assert.rejects(stranger.pin.rm(missing()), denied)
    await assert.rejects(list(stranger.pin.ls()), denied)
    await assert.rejects(list(stranger.routing.get('/ipns/x')), denied)
    // An upload that is refused before it has been read.
    await assert.rejects(stranger.block.put(randomBytes(4_000_000)), denied)
  }
})

test('the token as a password', async () => {
  const basic = Buffer.from(`anybody:${served.token}`).toString('base64')
  const client = create({ url: served.url, headers: { authorization: `Basic ${basic}` } })
  assert.equal((await client.version()).repo, '1')
})

test('blocks of every size come back', async () => {
  for (const size of [0, 1, 1_000, 65_536, MAX_BLOCK - 1, MAX_BLOCK]) {
    const bytes = new Uint8Array(randomBytes(size))
    const cid = await ipfs.block.put(bytes, { pin: true })
    assert.equal(`${cid}`, `${cidOf(bytes)}`)
    assert.deepEqual(await ipfs.block.get(cid), bytes)
    const stat = await ipfs.block.stat(cid)
    assert.deepEqual([`${stat.cid}`, stat.size], [`${cid}`, size])
    assert.deepEqual(await pinned({ paths: cid }), recursive([cid]))
  }
})

test('options for what is stored anyhow are taken, others are refused', async () => {
  const bytes = randomBytes(100)
  for (const options of [
    { format: 'raw', mhtype: 'sha2-256', version: 1 },
    { cidCodec: 'raw', mhtype: 'sha2-256', mhlen: -1, allowBigBlock: false }
  ]) {
    assert.equal(`${await ipfs.block.put(bytes, options)}`, `${cidOf(bytes)}`)
  }
  for (const options of [
    { format: 'dag-cbor' },
    { cidCodec: 'dag-pb' },
    { mhtype: 'blake3' },
    { version: 0 }
  ]) {
    await assert.rejects(ipfs.block.put(bytes, options), refused(500, /only raw blocks/))
  }
})

test('what is too large is refused, however much of it is still to be sent', async () => {
  for (const size of [MAX_BLOCK + 1, 1_000_000, 8_000_000, 30_000_000]) {
    const bytes = randomBytes(size)
    await assert.rejects(ipfs.block.put(bytes), refused(413, /at most 262144 bytes/), `${size}`)
  }
  assert.equal((await ipfs.version()).repo, '1')
})

test('a block that is not there', async () => {
  const cid = missing()
  const notFound = refused(500, new RegExp(`block was not found locally: ${cid}`))
  await assert.rejects(ipfs.block.get(cid), notFound)
  await assert.rejects(ipfs.block.stat(cid), notFound)
  await assert.rejects(ipfs.pin.add(cid), notFound)
  await assert.rejects(ipfs.block.get('nonsense'), refused(400, /invalid CID/))
  // A CIDv0 is of dag-pb, which is never stored.
  const v0 = 'QmUNLLsPACCz1vLxQVkXqqLX5R1X345qqfHbsf67hvA3Nn'
  await assert.rejects(ipfs.block.get(v0), refused(400, /invalid CID/))
})

test('pins', async () => {
  const [one, two] = [await ipfs.block.put(randomBytes(10)), await ipfs.block.put(randomBytes(11))]
  assert.equal(`${await ipfs.pin.add(one)}`, `${one}`)
  assert.equal(`${await ipfs.pin.add(`/ipfs/${two}`)}`, `${two}`)
  assert.equal(`${await ipfs.pin.add(two, { recursive: false })}`, `${two}`)
  assert.deepEqual(await pinned({ paths: [one, two] }), recursive([one, two]))
  assert.deepEqual(await pinned({ paths: one, type: 'recursive' }), recursive([one]))
  const notPinned = refused(500, /is not pinned/)
  await assert.rejects(pinned({ paths: one, type: 'direct' }), notPinned)
  assert.deepEqual(await pinned({ type: 'indirect' }), [])
  await assert.rejects(pinned({ type: 'odd' }), refused(500, /invalid type 'odd'/))

  assert.equal(`${await ipfs.pin.rm(one)}`, `${one}`)
  await assert.rejects(ipfs.pin.rm(one), refused(500, /not pinned or pinned indirectly/))
  await assert.rejects(pinned({ paths: [two, one] }), notPinned)
  // Given up is not gone.
  assert.equal((await ipfs.block.get(one)).length, 10)
  assert.equal(`${await ipfs.pin.rm(two)}`, `${two}`)
})

test('names of pins are not kept', async () => {
  const cid = await ipfs.block.put(randomBytes(12))
  await ipfs.pin.add(cid, { name: 'mine' })
  assert.deepEqual(await pinned({ paths: cid, names: true }), recursive([cid]))
  assert.deepEqual(await pinned({ name: 'mine' }), [])
  await ipfs.pin.rm(cid)
})

test('many pins come as a stream', async () => {
  const before = new Set(await pinned())
  const cids = []
  for (let at = 0; at < MANY; at += 50) {
    const some = Array.from({ length: 50 }, () => ipfs.block.put(randomBytes(20), { pin: true }))
    cids.push(...await Promise.all(some))
  }
  const now = await pinned()
  assert.deepEqual(now.filter(pin => !before.has(pin)), recursive(cids))
  // Who has seen enough may go.
  for await (const pin of ipfs.pin.ls()) {
    assert.equal(pin.type, 'recursive')
    break
  }
  const removed = await list(ipfs.pin.rmAll(cids.slice(0, 20)))
  assert.deepEqual(removed.map(String), cids.slice(0, 20).map(String))
  assert.equal((await pinned()).length, now.length - 20)
})

test('names', async () => {
  const key = await generateKeyPair('Ed25519')
  const name = key.publicKey.toCID().toString(base36)
  const record = async sequence =>
    marshalIPNSRecord(await createIPNSRecord(key, cidOf('x'), sequence, 3_600_000))
  const [first, second] = [await record(1), await record(2)]
  await assert.rejects(list(ipfs.routing.get(`/ipns/${name}`)), refused(500, /not found/))
  for (const taken of [first, second]) {
    const events = await list(ipfs.routing.put(`/ipns/${name}`, taken))
    assert.deepEqual(events.map(event => event.name), ['VALUE'])
  }
  await assert.rejects(list(ipfs.routing.put(`/ipns/${name}`, first)), refused(500, /newer value/))
  const [found] = await list(ipfs.routing.get(`/ipns/${name}`))
  assert.deepEqual(Buffer.from(found.value), Buffer.from(second))
})

test('what is not offered is not found', async () => {
  await assert.rejects(list(ipfs.block.rm(missing())), refused(404, /page not found/))
  await assert.rejects(ipfs.id(), refused(404, /page not found/))
  // It is part of no network.
  assert.equal(await ipfs.isOnline(), false)
})
