// Helia's block broker for trustless gateways, `@helia/block-brokers`, against `handfast host`.

import assert from 'node:assert/strict'
import { createHash, randomBytes } from 'node:crypto'
import { after, before, test } from 'node:test'
import { host } from '../handfast.mjs'
import { trustlessGateway } from '@helia/block-brokers'
import { defaultLogger } from '@libp2p/logger'
import { multiaddr } from '@multiformats/multiaddr'
import { create } from 'kubo-rpc-client'
import { CID } from 'multiformats/cid'
import * as raw from 'multiformats/codecs/raw'
import { create as digest } from 'multiformats/hashes/digest'

let served
let ipfs
let gateway
before(async () => {
  served = await host()
  ipfs = create({ url: served.url, headers: { authorization: `Bearer ${served.token}` } })
  const address = multiaddr(`/ip4/127.0.0.1/tcp/${new URL(served.url).port}/http`)
  const routing = {
    async * findProviders () {
      yield { multiaddrs: [address], routing: 'this one' }
    }
  }
  const options = { allowInsecure: true, allowLocal: true }
  gateway = trustlessGateway(options)({ routing, logger: defaultLogger() })
})
after(async () => assert.equal(await served?.command.stop(), 0))

const hash = bytes => digest(0x12, createHash('sha256').update(bytes).digest())
const cidOf = bytes => CID.create(1, raw.code, hash(bytes))

test('everybody who knows its CID gets a block', async () => {
  for (const size of [0, 1, 100_000, 262_144]) {
    const bytes = new Uint8Array(randomBytes(size))
    const cid = await ipfs.block.put(bytes)
    const validateFn = async block => {
      assert.equal(`${cidOf(block)}`, `${cid}`)
    }
    const got = await gateway.retrieve(cid, { validateFn })
    assert.equal(Buffer.compare(Buffer.from(got), Buffer.from(bytes)), 0, `${size}`)
  }
})

test('what is not there is not found', async () => {
  const missing = [cidOf(randomBytes(32)), CID.createV0(hash('of a file'))]
  for (const cid of missing) {
    await assert.rejects(gateway.retrieve(cid), error => {
      assert.deepEqual(error.errors.map(({ message }) => /404/.test(message)), [true])
      return true
    })
  }
})
