// Times pairings in all four role pairs, and measures peers that wait: node speed.mjs PATH_OF_OUR_PEER
// (A release build: `speed` makes one.)
import { spawn } from 'node:child_process'
import { readFileSync } from 'node:fs'
import readline from 'node:readline'
import BlindPairing from 'blind-pairing'
import createTestnet from 'hyperdht/testnet.js'
import Hyperswarm from 'hyperswarm'
import z32 from 'z32'

const TIMES = 25
const SETTLE = 60_000
const WATCH = 60_000

// `node speed.mjs idle HOST:PORT COUNT`: a JavaScript peer that waits with so many open invites.
if (process.argv[2] === 'idle') {
  const [, , , bootstrap, count] = process.argv
  const it = await theirs(bootstrap)
  for (let number = 0; number < Number(count); number++) {
    const made = BlindPairing.createInvite(Buffer.alloc(32).fill(`group ${number}`))
    const member = it.pairing.addMember({ discoveryKey: made.discoveryKey, onadd: () => {} })
    await member.flushed()
  }
  console.log('{"idle":true}')
  await new Promise(() => {})
}

const peer = process.argv[2]
const testnet = await createTestnet(10, { host: '127.0.0.1' })
const bootstrap = `127.0.0.1:${testnet.bootstrap[0].port}`
let number = 0

async function theirs (bootstrap) {
  const swarm = new Hyperswarm({ bootstrap: [bootstrap] })
  swarm.on('connection', (connection) => connection.on('error', () => {}))
  const pairing = new BlindPairing(swarm)
  await swarm.dht.fullyBootstrapped()
  return {
    pairing,
    close: async () => {
      await pairing.close()
      await swarm.destroy()
    }
  }
}

function start (program, args) {
  const child = spawn(program, args, { stdio: ['pipe', 'pipe', 'inherit'] })
  const lines = readline.createInterface({ input: child.stdout })[Symbol.asyncIterator]()
  return {
    pid: child.pid,
    ask: (text) => child.stdin.write(`${text}\n`),
    line: async () => JSON.parse((await lines.next()).value),
    close: () => child.kill('SIGKILL')
  }
}

const ours = () => start(peer, ['bench', bootstrap])

async function ourMember (key) {
  const it = ours()
  it.ask(`invite ${key.toString('hex')}`)
  it.code = (await it.line()).invite_code
  return it
}

async function theirMember (key) {
  const it = await theirs(bootstrap)
  const made = BlindPairing.createInvite(key)
  const member = it.pairing.addMember({
    discoveryKey: made.discoveryKey,
    onadd: async (candidate) => {
      candidate.open(made.publicKey)
      candidate.confirm({ key })
    }
  })
  await member.flushed()
  it.code = z32.encode(made.invite)
  return it
}

// Milliseconds from "it has the code, and is on the network" to "it has the key".
async function ourCandidate (code, writer) {
  const it = ours()
  it.ask(`join ${code} ${writer.toString('hex')}`)
  const { micros } = await it.line()
  it.close()
  return micros / 1000
}

async function theirCandidate (code, writer) {
  const it = await theirs(bootstrap)
  const begun = process.hrtime.bigint()
  await new Promise((resolve) => {
    it.pairing.addCandidate({ invite: z32.decode(code), userData: writer, onadd: async () => resolve() })
  })
  const took = Number(process.hrtime.bigint() - begun) / 1e6
  await it.close()
  return took
}

const members = { JS: theirMember, ours: ourMember }
const candidates = { JS: theirCandidate, ours: ourCandidate }
const pairs = Object.keys(candidates).flatMap((one) => Object.keys(members).map((other) => [one, other]))
const times = new Map(pairs.map((pair) => [pair, []]))
// One of each after the other, so that all meet the same machine.
for (let round = 0; round < TIMES + 1; round++) {
  for (const pair of pairs) {
    const key = Buffer.alloc(32).fill(`the group ${++number}`)
    const member = await members[pair[1]](key)
    const took = await candidates[pair[0]](member.code, Buffer.alloc(32, 1))
    await member.close()
    if (round > 0) times.get(pair).push(took) // the first one warms up
  }
}
const median = (pair) => times.get(pair)[TIMES >> 1]
for (const took of times.values()) took.sort((a, b) => a - b)
const base = median(pairs.find((pair) => pair.every((side) => side === 'JS')))
console.log(`Live pairings, median of ${TIMES} (fastest–slowest), of JS with JS:`)
for (const pair of pairs) {
  const took = times.get(pair)
  const [fast, slow] = [took[0], took[TIMES - 1]].map((ms) => ms.toFixed(1))
  const share = Math.round((100 * median(pair)) / base)
  console.log(`  ${pair[0]} joins ${pair[1]}: ${median(pair).toFixed(1)} ms (${fast}–${slow}), ${share} %`)
}

// Resident megabytes, and CPU milliseconds so far.
function usage (pid) {
  const status = readFileSync(`/proc/${pid}/status`, 'utf8')
  const resident = Number(/VmRSS:\s+(\d+) kB/.exec(status)[1]) / 1024
  const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1].split(' ')
  return { resident, cpu: 10 * (Number(fields[11]) + Number(fields[12])) }
}

const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms))
console.log(`Waiting: resident, and CPU in ${WATCH / 1000} s, ${SETTLE / 1000} s after all could be found:`)
for (const count of [0, 1, 1000]) {
  const mine = ours()
  mine.ask(`idle ${count}`)
  const other = start(process.argv[0], [process.argv[1], 'idle', bootstrap, String(count)])
  await Promise.all([mine.line(), other.line()])
  await pause(SETTLE)
  const before = [mine, other].map((it) => usage(it.pid))
  await pause(WATCH)
  for (const [at, it] of [mine, other].entries()) {
    const { resident, cpu } = usage(it.pid)
    const who = at === 0 ? 'ours' : 'JS'
    const spent = cpu - before[at].cpu
    console.log(`  ${count} open invites, ${who}: ${resident.toFixed(1)} MB, ${spent} ms`)
    it.close()
  }
}
await testnet.destroy()
process.exit(0)
