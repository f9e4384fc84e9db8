// The client of delegated routers that Helia uses, `@helia/delegated-routing-v1-http-api-client`,
// against `handfast host`.

import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { setTimeout } from 'node:timers/promises'
import { host } from '../handfast.mjs'
import { delegatedRoutingV1HttpApiClient } from '@helia/delegated-routing-v1-http-api-client'
import { generateKeyPair } from '@libp2p/crypto/keys'
import { defaultLogger } from '@libp2p/logger'
import { createIPNSRecord, marshalIPNSRecord, multihashToIPNSRoutingKey } from 'ipns'
import { ipnsValidator } from 'ipns/validator'
import { CID } from 'multiformats/cid'

const VALUE = CID.parse('bafkreihdwdcefgh4dqkjv67uzcmw7ojee6xedzdetojuzjevtenxquvyku')
const HOUR = 3_600_000
const MAX_RECORD = 10_240

let served
let router
before(async () => {
  served = await host()
  router = delegatedRoutingV1HttpApiClient({ url: `${served.url}/` })({ logger: defaultLogger() })
  await router.start()
})
after(async () => {
  await router?.stop()
  assert.equal(await served?.command.stop(), 0)
})

async function key () {
  const made = await generateKeyPair('Ed25519')
  const name = made.publicKey.toCID()
  const record = async (sequence, lifetime = HOUR, options = {}) =>
    marshalIPNSRecord(await createIPNSRecord(made, VALUE, sequence, lifetime, options))
  return { name, record }
}

const sameBytes = (a, b) => assert.equal(Buffer.from(a).toString('hex'), Buffer.from(b).toString('hex'))
const refused = { name: 'BadResponseError' }
const held = async (name, record) => sameBytes(await router.getIPNS(name), record)

test('a record is taken, found, and valid', async () => {
  const { name, record } = await key()
  const kinds = [{}, { v1Compatible: false }, { ttlNs: 1_000_000_000n }]
  for (const [sequence, options] of kinds.entries()) {
    const made = await record(sequence, HOUR, options)
    await router.putIPNS(name, made)
    const found = await router.getIPNS(name)
    sameBytes(found, made)
    await ipnsValidator(multihashToIPNSRoutingKey(name.multihash), found)
    // Once more is no harm.
    await router.putIPNS(name, made)
    await held(name, made)
  }
})

test('a higher sequence replaces, a lower one does not', async () => {
  const { name, record } = await key()
  const [one, two, three] = [await record(1), await record(2), await record(3)]
  await router.putIPNS(name, two)
  await assert.rejects(router.putIPNS(name, one), refused)
  await held(name, two)
  await router.putIPNS(name, three)
  await held(name, three)
  await assert.rejects(router.putIPNS(name, two), refused)
  await held(name, three)
})

test('of one sequence, the longer life replaces the shorter', async () => {
  const { name, record } = await key()
  const [short, long] = [await record(5, HOUR), await record(5, 2 * HOUR)]
  await router.putIPNS(name, short)
  await router.putIPNS(name, long)
  await assert.rejects(router.putIPNS(name, short), refused)
  await held(name, long)
})

test('a name that nobody has published', async () => {
  const { name } = await key()
  await assert.rejects(router.getIPNS(name), { name: 'NotFoundError' })
})

test('what is no record of the name is refused, and changes nothing', async () => {
  const [ours, theirs] = [await key(), await key()]
  const record = await ours.record(1)
  await router.putIPNS(ours.name, record)
  const newer = await ours.record(2)
  const broken = Uint8Array.from(newer)
  broken[broken.length - 1] ^= 1
  const wrong = {
    foreign: await theirs.record(9),
    'trailing byte': Buffer.concat([newer, Buffer.from([0])]),
    'trailing record': Buffer.concat([newer, newer]),
    'cut off': newer.subarray(0, newer.length - 1),
    empty: new Uint8Array(),
    expired: await ours.record(2, -HOUR),
    'changed bit': broken,
    'too long': Buffer.alloc(MAX_RECORD + 1, 1),
    'far too long': Buffer.alloc(20_000_000, 1)
  }
  for (const [what, bytes] of Object.entries(wrong)) {
    await assert.rejects(router.putIPNS(ours.name, bytes), refused, what)
    await held(ours.name, record)
  }
  await assert.rejects(router.getIPNS(theirs.name), { name: 'NotFoundError' })
})

test('the CID of content is no name', async () => {
  await assert.rejects(router.getIPNS(VALUE), { name: 'BadResponseError' })
})

test('a record that has expired is not found', async () => {
  const { name, record } = await key()
  const made = await record(1, 3_000)
  await router.putIPNS(name, made)
  await held(name, made)
  const end = Date.now() + 30_000
  for (;;) {
    const error = await router.getIPNS(name).then(() => null, error => error)
    if (error != null) return assert.equal(error.name, 'NotFoundError')
    assert.ok(Date.now() < end, 'it is still there')
    await setTimeout(100)
  }
})
