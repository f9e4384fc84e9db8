// A JavaScript peer that does what it is told:  node peer.mjs BOOTSTRAP…
//
// Reads one JSON command a line and writes one JSON event a line. The other side of
// crates/swarm/examples/swarm_peer.
import { createInterface } from 'readline'
import c from 'compact-encoding'
import crypto from 'hypercore-crypto'
import HyperDHT from 'hyperdht'
import Hyperswarm from 'hyperswarm'
import Protomux from 'protomux'

const bootstrap = process.argv.slice(2)
const tell = (event) => process.stdout.write(JSON.stringify(event) + '\n')
const hex = (bytes) => Buffer.from(bytes).toString('hex')
const raw = { encoding: c.raw }

const dht = new HyperDHT({ bootstrap })
const keyPair = crypto.keyPair()
const swarm = new Hyperswarm({ dht, keyPair, backoffs: [20, 20, 20, 20], jitter: 5 })
const connections = new Set()
const channels = new Map()
let bytes = 0

swarm.on('connection', (connection) => {
  connections.add(connection)
  connection.on('error', () => {})
  connection.on('close', () => {
    connections.delete(connection)
    tell({ event: 'disconnection', key: hex(connection.remotePublicKey) })
  })
  serve(connection)
  tell({
    event: 'connection',
    key: hex(connection.remotePublicKey),
    hash: hex(connection.handshakeHash),
    initiator: connection.isInitiator
  })
})

// What every connection of this peer's answers to.
function serve (connection) {
  const mux = Protomux.from(connection)
  // Says everything back; kind 3 says so many bytes so often, kind 2 closes the channel.
  mux.pair({ protocol: 'echo' }, (id) => {
    const channel = mux.createChannel({
      protocol: 'echo',
      id,
      handshake: c.raw,
      messages: [
        { encoding: c.raw, onmessage: (m) => channel.messages[0].send(m) },
        { encoding: c.raw, onmessage: (m) => channel.messages[1].send(m) },
        { encoding: c.raw, onmessage: () => channel.close() },
        { encoding: c.raw, onmessage: (m) => pour(connection, channel, m) }
      ]
    })
    channel.open(Buffer.from('echo'))
  })
  // Counts what comes.
  mux.pair({ protocol: 'sink' }, (id) => {
    let count = 0
    const channel = mux.createChannel({
      protocol: 'sink',
      id,
      messages: [
        {
          encoding: c.raw,
          onmessage: (m) => {
            bytes += m.byteLength
            count += m.byteLength
          }
        },
        { encoding: c.raw, onmessage: () => channel.messages[1].send(Buffer.from(String(count))) }
      ]
    })
    channel.open()
  })
}

async function pour (connection, channel, order) {
  const [count, size] = order.toString().split(' ').map(Number)
  const chunk = Buffer.alloc(size, 9)
  for (let i = 0; i < count && !channel.closed; i++) {
    if (channel.messages[0].send(chunk) === false) {
      await new Promise((resolve) => connection.once('drain', resolve))
    }
  }
}

const commands = {
  async join ({ topic, server, client }) {
    await swarm.join(Buffer.from(topic, 'hex'), { server, client }).flushed()
  },
  async leave ({ topic }) {
    await swarm.leave(Buffer.from(topic, 'hex'))
  },
  async listen () {
    await swarm.listen()
  },
  async peer ({ key }) {
    swarm.joinPeer(Buffer.from(key, 'hex'))
  },
  async forget ({ key }) {
    swarm.leavePeer(Buffer.from(key, 'hex'))
  },
  // Opens a channel on every connection; handshake and messages are told.
  async open ({ name, protocol, id }) {
    for (const connection of connections) {
      const mux = Protomux.from(connection)
      const channel = mux.createChannel({
        protocol,
        id: id ? Buffer.from(id, 'hex') : null,
        handshake: c.raw,
        messages: [{ encoding: c.raw, onmessage: (m) => tell({ event: 'message', name, text: m.toString() }) }, raw],
        onopen: (handshake) => tell({ event: 'opened', name, handshake: handshake.toString() }),
        onclose: (remote) => tell({ event: 'closed', name, remote: !!remote })
      })
      if (channel === null) {
        tell({ event: 'taken', name })
        continue
      }
      channels.set(name, channel)
      channel.open(Buffer.from('from js'))
    }
  },
  async say ({ name, text }) {
    channels.get(name).messages[0].send(Buffer.from(text))
  },
  async close ({ name }) {
    channels.get(name).close()
  },
  async drop () {
    for (const connection of connections) connection.destroy()
  },
  // Dials without the swarm, so many times, and has one word said back each time.
  async dials ({ key, times }) {
    const took = []
    for (let i = 0; i < times; i++) {
      const start = process.hrtime.bigint()
      const connection = dht.connect(Buffer.from(key, 'hex'))
      await new Promise((resolve, reject) => {
        connection.on('error', reject)
        connection.on('open', () => {
          const channel = Protomux.from(connection).createChannel({
            protocol: 'echo',
            messages: [{ encoding: c.raw, onmessage: resolve }]
          })
          channel.open()
          channel.messages[0].send(Buffer.from('ping'))
        })
      })
      took.push(Number(process.hrtime.bigint() - start) / 1e6)
      connection.removeAllListeners('error')
      connection.on('error', () => {})
      await new Promise((resolve) => {
        connection.on('close', resolve)
        connection.destroy()
      })
    }
    took.sort((x, y) => x - y)
    return { median: took[took.length >> 1], worst: took[took.length - 1] }
  },
  async count () {
    return { bytes }
  },
  async put ({ seed, text, seq }) {
    await dht.mutablePut(crypto.keyPair(Buffer.from(seed, 'hex')), Buffer.from(text), { seq })
  },
  async get ({ key }) {
    const found = await dht.mutableGet(Buffer.from(key, 'hex'))
    return { text: found && found.value.toString(), seq: found && found.seq }
  },
  async announce ({ topic, seed }) {
    await dht.announce(Buffer.from(topic, 'hex'), crypto.keyPair(Buffer.from(seed, 'hex'))).finished()
  },
  async find ({ topic }) {
    const keys = new Set()
    for await (const { peers } of dht.lookup(Buffer.from(topic, 'hex'))) {
      for (const peer of peers) keys.add(hex(peer.publicKey))
    }
    return { keys: [...keys] }
  }
}

await dht.ready()
tell({ event: 'ready', key: hex(keyPair.publicKey) })
for await (const line of createInterface({ input: process.stdin })) {
  const { cmd, ...options } = JSON.parse(line)
  try {
    tell({ event: 'done', ...(await commands[cmd](options)) })
  } catch (error) {
    tell({ event: 'failed', cmd, error: String(error) })
  }
}
await swarm.destroy({ force: true })
await dht.destroy({ force: true })
process.exit(0)
