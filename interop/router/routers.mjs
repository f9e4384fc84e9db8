// Delegated routers of other people's making: `@helia/delegated-routing-v1-http-api-server`, over a
// map in memory or over a private DHT of libp2p nodes on this machine.

import '../handfast.mjs'
import { noise } from '@chainsafe/libp2p-noise'
import { yamux } from '@chainsafe/libp2p-yamux'
import { createDelegatedRoutingV1HttpApiServer } from '@helia/delegated-routing-v1-http-api-server'
import { identify } from '@libp2p/identify'
import { kadDHT, passthroughMapper } from '@libp2p/kad-dht'
import { ping } from '@libp2p/ping'
import { tcp } from '@libp2p/tcp'
import { ipnsSelector } from 'ipns/selector'
import { ipnsValidator } from 'ipns/validator'
import { createLibp2p } from 'libp2p'
import { setTimeout } from 'node:timers/promises'

const PROTOCOL = '/handfast-interop/kad/1.0.0'
const PATIENCE = 30_000

async function serve (routing) {
  const server = await createDelegatedRoutingV1HttpApiServer({ routing }, {
    listen: { host: '127.0.0.1', port: 0 }
  })
  return { url: `http://127.0.0.1:${server.server.address().port}`, close: () => server.close() }
}

/** A router that keeps the better one of two records, as the IPNS specification has it. */
export async function memoryRouter () {
  const held = new Map()
  const { url, close } = await serve({
    async get (key) {
      const record = held.get(Buffer.from(key).toString('hex'))
      if (record == null) throw Object.assign(new Error('not found'), { name: 'NotFoundError' })
      return record
    },
    async put (key, record) {
      const text = Buffer.from(key).toString('hex')
      const known = held.get(text)
      const better = known == null || ipnsSelector(key, [known, record]) === 1
      if (better) held.set(text, record)
    }
  })
  return { urls: [url], close }
}

/**
 * A DHT of `servers` nodes that keep records, and two routers in front of it: one is such a node
 * itself, the other one a client of the DHT.
 */
export async function dhtRouters (servers) {
  const nodes = []
  for (let count = 0; count < servers; count++) nodes.push(await node(false))
  nodes.push(await node(true))
  for (const [index, from] of nodes.entries()) {
    for (const to of nodes.slice(0, index)) await from.dial(to.getMultiaddrs())
  }
  // A client is in nobody's table, and no node in its own.
  const known = node => node.services.dht.routingTable.size
  const ready = () => nodes.every(node => known(node) >= servers - (node === nodes.at(-1) ? 0 : 1))
  const end = Date.now() + PATIENCE
  while (!ready()) {
    if (Date.now() > end) throw new Error(`the DHT does not form: ${nodes.map(known)}`)
    await setTimeout(20)
  }
  const doors = [await serve(nodes[0].contentRouting), await serve(nodes.at(-1).contentRouting)]
  return {
    urls: doors.map(door => door.url),
    close: async () => {
      await Promise.all(doors.map(door => door.close()))
      await Promise.all(nodes.map(node => node.stop()))
    }
  }
}

function node (clientMode) {
  return createLibp2p({
    addresses: { listen: ['/ip4/127.0.0.1/tcp/0'] },
    transports: [tcp()],
    connectionEncrypters: [noise()],
    streamMuxers: [yamux()],
    services: {
      identify: identify(),
      ping: ping(),
      dht: kadDHT({
        protocol: PROTOCOL,
        clientMode,
        // All addresses here are private ones.
        peerInfoMapper: passthroughMapper,
        validators: { ipns: ipnsValidator },
        selectors: { ipns: ipnsSelector }
      })
    }
  })
}
