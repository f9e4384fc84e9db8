// What the JavaScript swarm takes for what crates/swarm/benches/swarm.rs measures:
//   node figures.mjs BOOTSTRAP           says a line a figure
//   node figures.mjs BOOTSTRAP --idle    a swarm that waits
import { spawnSync } from 'child_process'
import { fileURLToPath } from 'url'
import c from 'compact-encoding'
import HyperDHT from 'hyperdht'
import Hyperswarm from 'hyperswarm'
import Protomux from 'protomux'

const bootstrap = [process.argv[2]]
const idleSeconds = 20
const ms = (since) => Number(process.hrtime.bigint() - since) / 1e6
const once = (emitter, event) => new Promise((resolve) => emitter.once(event, resolve))

if (process.argv[3] === '--idle') {
  const swarm = new Hyperswarm({ bootstrap })
  await swarm.join(Buffer.alloc(32, 3), { server: true, client: false }).flushed()
  const before = process.cpuUsage()
  await new Promise((resolve) => setTimeout(resolve, idleSeconds * 1000))
  const { user, system } = process.cpuUsage(before)
  const resident = (process.memoryUsage().rss / 1024 / 1024).toFixed(1)
  say('idle with    1 topics', `${resident} MB resident, ${Math.round((user + system) / 1000)} ms of CPU in ${idleSeconds} s`)
  process.exit(0)
}

function say (what, figure) {
  console.log(`JS    ${what.padEnd(44)} ${figure}`)
}

function report (what, took) {
  took.sort((a, b) => a - b)
  const at = (part) => took[Math.floor(((took.length - 1) * part) / 100)].toFixed(2)
  say(what, `median ${at(50)} ms, 95 % ${at(95)} ms`)
}

const far = new HyperDHT({ bootstrap })
const near = new HyperDHT({ bootstrap })
const server = far.createServer()
let accepted = null
server.on('connection', (connection) => {
  connection.on('error', () => {})
  accepted = connection
  server.emit('accepted')
})
await server.listen()

let took = []
for (let i = 0; i < 100; i++) {
  const start = process.hrtime.bigint()
  const connection = near.connect(server.publicKey)
  connection.on('error', () => {})
  await once(connection, 'open')
  took.push(ms(start))
  const closed = once(connection, 'close')
  connection.destroy()
  await closed
}
report('dial', took)

const pair = async () => {
  const here = near.connect(server.publicKey)
  here.on('error', () => {})
  await once(here, 'open')
  while (!accepted || !accepted.handshakeHash.equals(here.handshakeHash)) await once(server, 'accepted')
  return [here, accepted]
}
const channel = (stream, onmessage) => {
  const made = Protomux.from(stream).createChannel({ protocol: 'x', messages: [{ encoding: c.raw, onmessage }] })
  made.open()
  return made
}

const [here, there] = await pair()
let heard = () => {}
const pong = channel(there, (m) => pong.messages[0].send(m))
const ping = channel(here, () => heard())
took = []
for (let i = 0; i < 300; i++) {
  const start = process.hrtime.bigint()
  const back = new Promise((resolve) => { heard = resolve })
  ping.messages[0].send(Buffer.alloc(200, 1))
  await back
  took.push(ms(start))
}
report('200 bytes there and back', took)

const [from, to] = await pair()
const total = 64 * 1024 * 1024
let got = 0
const all = new Promise((resolve) => {
  channel(to, (m) => { if ((got += m.byteLength) >= total) resolve() })
})
const bulk = channel(from, () => {})
const start = process.hrtime.bigint()
for (let sent = 0; sent < total; sent += 65536) {
  if (!bulk.messages[0].send(Buffer.alloc(65536, 7))) await once(from, 'drain')
}
await all
say('bulk over one connection', `${(total / ms(start) / 1000).toFixed(1)} MB/s`)
process.stdout.write(spawnSync('node', [fileURLToPath(import.meta.url), bootstrap[0], '--idle']).stdout)
process.exit(0)
