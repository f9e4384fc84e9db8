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

// `node speed.mjs bench HOST:PORT`: a JavaScript peer that does what it is asked, as ours does.
if (process.argv[2] === 'bench') {
  const bootstrap = process.argv[3]
  for await (const line of readline.createInterface({ input: process.stdin })) {
    const [what, ...rest] = line.split(' ')
    const answer = await { invite, join, idle }[what](await pairing(bootstrap), ...rest)
    console.log(JSON.stringify(answer))
  }
  process.exit(0)
}

const peer = process.argv[2]
const testnet = await createTestnet(10, { host: '127.0.0.1' })
const bootstrap = `127.0.0.1:${testnet.bootstrap[0].port}`
let number = 0

async function pairing (bootstrap) {
  const swarm = new Hyperswarm({ bootstrap: [bootstrap] })
  swarm.on('connection', (connection) => connection.on('error', () => {}))
  const pairing = new BlindPairing(swarm)
  await swarm.dht.fullyBootstrapped()
  return pairing
}

async function invite (pairing, hex) {
  const key = Buffer.from(hex, 'hex')
  const made = BlindPairing.createInvite(key)
  const member = pairing.addMember({
    discoveryKey: made.discoveryKey,
    onadd: async (candidate) => {
      candidate.open(made.publicKey)
      candidate.confirm({ key })
    }
  })
  await member.flushed()
  return { invite_code: z32.encode(made.invite) }
}

// Microseconds from "it has the code, and is on the network" to "it has the key".
async function join (pairing, code, writer) {
  const begun = process.hrtime.bigint()
  await new Promise((resolve) => {
    const userData = Buffer.from(writer, 'hex')
    pairing.addCandidate({ invite: z32.decode(code), userData, onadd: async () => resolve() })
  })
  return { micros: Number((process.hrtime.bigint() - begun) / 1000n) }
}

async function idle (pairing, count) {
  for (let number = 0; number < Number(count); number++) {
    const made = BlindPairing.createInvite(Buffer.alloc(32).fill(`group ${number}`))
    const member = pairing.addMember({ discoveryKey: made.discoveryKey, onadd: () => {} })
    await member.flushed()
  }
  return { idle: true }
}

// Every side is a process of its own, begun for this pairing.
const programs = { JS: [process.argv[0], process.argv[1]], ours: [peer] }

function start (who) {
  const [program, ...args] = programs[who]
  const child = spawn(program, [...args, 'bench', bootstrap], { stdio: ['pipe', 'pipe', 'inherit'] })
  const lines = readline.createInterface({ input: child.stdout })[Symbol.asyncIterator]()
  return {
    pid: child.pid,
    ask: async (text) => {
      child.stdin.write(`${text}\n`)
      return JSON.parse((await lines.next()).value)
    },
    close: () => child.kill('SIGKILL')
  }
}

const sides = Object.keys(programs)
const pairs = sides.flatMap((one) => sides.map((other) => [one, other]))
const times = new Map(pairs.map((pair) => [pair, []]))
// One of each after the other, so that all meet the same machine.
for (let round = 0; round < TIMES; round++) {
  for (const pair of pairs) {
    const key = Buffer.alloc(32).fill(`the group ${++number}`)
    const [candidate, member] = pair.map(start)
    const { invite_code: code } = await member.ask(`invite ${key.toString('hex')}`)
    const { micros } = await candidate.ask(`join ${code} ${Buffer.alloc(32, 1).toString('hex')}`)
    for (const it of [candidate, member]) it.close()
    times.get(pair).push(micros / 1000)
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
  const waiting = sides.map((who) => ({ who, ...start(who) }))
  await Promise.all(waiting.map((it) => it.ask(`idle ${count}`)))
  await pause(SETTLE)
  const before = waiting.map((it) => usage(it.pid))
  await pause(WATCH)
  for (const [at, it] of waiting.entries()) {
    const { resident, cpu } = usage(it.pid)
    const spent = cpu - before[at].cpu
    console.log(`  ${count} open invites, ${it.who}: ${resident.toFixed(1)} MB, ${spent} ms`)
    it.close()
  }
}
await testnet.destroy()
process.exit(0)
