// Pairs with unmodified blind-pairing peers, and with an autopass vault, on this machine: over a DHT of
// ten npm nodes, then over one of ten nodes of ours.
// node pair.mjs PATH_OF_OUR_PEER PATH_OF_THE_HANDFAST_BINARY
import { spawn } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import readline from 'node:readline'
import { fileURLToPath } from 'node:url'
import Autopass from 'autopass'
import BlindPairing from 'blind-pairing'
import Corestore from 'corestore'
import crypto from 'hypercore-crypto'
import createTestnet from 'hyperdht/testnet.js'
import Hyperswarm from 'hyperswarm'
import z32 from 'z32'

const [, , peer, binary] = process.argv
let key // of the group: another one in every case
const encryptionKey = Buffer.alloc(32).fill('how it is encrypted')
const work = mkdtempSync(path.join(tmpdir(), 'handfast-interop-'))
let bootstrap // HOST:PORT of a node of the network that is used
const TIMEOUT = 60_000
let number = 0

function check (condition, what) {
  if (!condition) throw new Error(what)
}

function within (promise, what) {
  let timer
  const late = new Promise((resolve, reject) => {
    timer = setTimeout(() => reject(new Error(`${what}: nothing came in time`)), TIMEOUT)
  })
  return Promise.race([promise, late]).finally(() => clearTimeout(timer))
}

// Our peer, which can be kept off a road.
function ours (...args) {
  return start(peer, args)
}

// A JavaScript peer that can be killed.
function theirProcess (role, ...args) {
  return start(process.execPath, [fileURLToPath(new URL('peer.mjs', import.meta.url)), role, bootstrap, ...args])
}

// The binary. Keys are in its environment.
function handfast (args, env = {}) {
  return start(binary, ['--json', ...args, '--dht', 'local', '--bootstrap', bootstrap], env)
}

// A peer. `line()` gives what it says next; `says(name)` waits for what is then in `said`; `exited` is its
// exit code; `end()` kills it.
function start (program, args, env = {}) {
  const child = spawn(program, args, { stdio: ['ignore', 'pipe', 'inherit'], env: { ...process.env, ...env } })
  const lines = readline.createInterface({ input: child.stdout })[Symbol.asyncIterator]()
  const exited = new Promise((resolve) => child.once('exit', resolve))
  const said = {}
  return {
    line: async () => JSON.parse((await within(lines.next(), `${path.basename(program)} ${args.join(' ').slice(0, 80)}`)).value),
    // What it says under this name, now or later: the candidate may be faster than the invite code.
    says: async function (name) {
      while (!(name in said)) Object.assign(said, await this.line())
      return said[name]
    },
    said,
    exited,
    end: async () => {
      child.kill('SIGKILL')
      await exited
    }
  }
}

function journal () {
  return path.join(work, `journal-${number++}`)
}

// A JavaScript peer.
async function theirs () {
  const swarm = new Hyperswarm({ bootstrap: [bootstrap] })
  swarm.on('connection', (connection) => connection.on('error', () => {}))
  const pairing = new BlindPairing(swarm, { poll: 1000 })
  return {
    swarm,
    pairing,
    close: async () => {
      await pairing.close()
      await swarm.destroy()
    }
  }
}

// A JavaScript member that accepts whoever opens under the invite.
async function theirMember () {
  const it = await theirs()
  const made = BlindPairing.createInvite(key, { data: Buffer.from('{"readOnly":false}') })
  it.accepted = new Promise((resolve) => {
    it.member = it.pairing.addMember({
      discoveryKey: made.discoveryKey,
      onadd: async (candidate) => {
        candidate.open(made.publicKey)
        candidate.confirm({ key, encryptionKey, additional: made.additional })
        resolve(candidate.userData)
      }
    })
  })
  it.code = z32.encode(made.invite)
  return it
}

async function theirCandidate (code, userData) {
  const it = await theirs()
  it.joined = new Promise((resolve) => {
    it.pairing.addCandidate({ invite: z32.decode(code), userData, onadd: async (r) => resolve(r) })
  })
  return it
}

function checkGrant (grant) {
  check(grant.key === key.toString('hex'), 'the key')
  check(grant.encryption_key === encryptionKey.toString('hex'), 'the encryption key')
  check(grant.additional === '{"readOnly":false}', 'the additional data')
}

function checkOurGrant (grant) {
  check(grant.key === key.toString('hex'), 'the key')
  check(grant.encryption_key === '05'.repeat(32), 'the encryption key')
  check(grant.additional === '{"readOnly":false}', 'the additional data')
}

function checkJoined (joined) {
  check(joined.key.equals(key), 'the key')
  check(joined.encryptionKey.equals(Buffer.alloc(32, 5)), 'the encryption key')
  check(joined.data.toString() === '{"readOnly":false}', 'the additional data')
}

async function oursJoinsTheirs (road) {
  const member = await theirMember()
  await member.member.flushed()
  const writer = Buffer.alloc(32, ++number)
  const started = Date.now()
  const candidate = ours('candidate', bootstrap, road, member.code, writer.toString('hex'), journal())
  checkGrant(await candidate.line())
  const took = Date.now() - started
  check((await within(member.accepted, 'the member')).equals(writer), 'the writer')
  await candidate.end()
  await member.close()
  return took
}

async function theirsJoinsOurs (road) {
  const member = ours('member', bootstrap, road, key.toString('hex'), journal())
  const code = await member.says('invite_code')
  const writer = Buffer.alloc(32, ++number)
  const started = Date.now()
  const candidate = await theirCandidate(code, writer)
  checkJoined(await within(candidate.joined, 'the candidate'))
  const took = Date.now() - started
  check((await member.says('user_data')) === writer.toString('hex'), 'the writer')
  await candidate.close()
  await member.end()
  return took
}

async function oursJoinsOurs (road) {
  const member = ours('member', bootstrap, road, key.toString('hex'), journal())
  const code = await member.says('invite_code')
  const writer = Buffer.alloc(32, ++number)
  const started = Date.now()
  const candidate = ours('candidate', bootstrap, road, code, writer.toString('hex'), journal())
  checkOurGrant(await candidate.line())
  const took = Date.now() - started
  check((await member.says('user_data')) === writer.toString('hex'), 'the writer')
  await candidate.end()
  await member.end()
  return took
}

// Each is there when the other one is not: the candidate asks; the member answers; the candidate is back.
async function oursAreNeverThereTogether () {
  const [atMember, atCandidate] = [journal(), journal()]
  const member = () => ours('member', bootstrap, 'dht', key.toString('hex'), atMember)
  const first = member()
  const code = await first.says('invite_code')
  await first.end()
  const writer = Buffer.alloc(32, ++number)
  const candidate = () => ours('candidate', bootstrap, 'dht', code, writer.toString('hex'), atCandidate)
  const asks = candidate()
  const watcher = await theirs()
  const [, , discovery] = crypto.namespace('blind-pairing/dht', 3)
  await within(announced(watcher, crypto.hash([discovery, crypto.discoveryKey(key)])), 'the announcement')
  await watcher.close()
  await asks.end()
  const answers = member()
  check((await answers.says('user_data')) === writer.toString('hex'), 'the writer')
  // What is there for good is there before this line; the response follows it.
  const back = candidate()
  checkOurGrant(await back.line())
  await back.end()
  await answers.end()
}

// Either dies as soon as it has begun, again and again, while the other one goes on.
async function oursDieInTheMiddle (road) {
  const [atMember, atCandidate] = [journal(), journal()]
  const writer = Buffer.alloc(32, ++number)
  let member = ours('member', bootstrap, road, key.toString('hex'), atMember)
  const code = await member.says('invite_code')
  const candidate = () => ours('candidate', bootstrap, road, code, writer.toString('hex'), atCandidate)
  let joining = candidate()
  for (let deaths = 0; deaths < 4; deaths++) {
    await new Promise((resolve) => setTimeout(resolve, 15 * deaths)) // another moment each time
    await member.end()
    member = ours('member', bootstrap, road, key.toString('hex'), atMember)
    await joining.end()
    joining = candidate()
  }
  checkOurGrant(await joining.line())
  await joining.end()
  await member.end()
}

// The same through the command line.
async function binaryJoinsTheirs () {
  const member = await theirMember()
  await member.member.flushed()
  const writer = Buffer.alloc(32, ++number)
  const started = Date.now()
  const candidate = handfast(['join', member.code, '--profile', 'raw', '--user-data', writer.toString('hex')])
  const joined = await candidate.line()
  const took = Date.now() - started
  checkGrant({ ...joined, additional: Buffer.from(joined.additional, 'hex').toString() })
  check(joined.writer_key === writer.toString('hex'), 'the writer key')
  check((await within(member.accepted, 'the member')).equals(writer), 'the writer')
  check(await within(candidate.exited, 'the end') === 0, 'it ends well')
  await member.close()
  return took
}

async function theirsJoinsBinary () {
  const member = handfast(
    ['invite', '--profile', 'raw', '--additional', Buffer.from('{"readOnly":false}').toString('hex')],
    { HANDFAST_STRUCTURE_KEY: key.toString('hex'), HANDFAST_ENCRYPTION_KEY: '05'.repeat(32) }
  )
  const invite = await member.line()
  check(invite.discovery_key === crypto.discoveryKey(key).toString('hex'), 'the discovery key')
  const { seed } = BlindPairing.decodeInvite(z32.decode(invite.invite_code))
  const [, , inviteId] = crypto.namespace('blind-pairing', 3)
  const id = crypto.hash([inviteId, crypto.keyPair(seed).publicKey])
  check(invite.invite_id === id.toString('hex'), 'the invite id')
  const writer = Buffer.alloc(32, ++number)
  const started = Date.now()
  const candidate = await theirCandidate(invite.invite_code, writer)
  checkJoined(await within(candidate.joined, 'the candidate'))
  const took = Date.now() - started
  check((await member.line()).user_data === writer.toString('hex'), 'the writer')
  await candidate.close()
  check(await within(member.exited, 'the end') === 0, 'it ends well')
  return took
}

async function binaryIsTooLate () {
  const member = await theirs()
  const made = BlindPairing.createInvite(key)
  const denied = new Promise((resolve) => {
    member.member = member.pairing.addMember({
      discoveryKey: made.discoveryKey,
      onadd: async (candidate) => {
        candidate.open(made.publicKey)
        candidate.deny({ status: 2 })
        resolve()
      }
    })
  })
  await member.member.flushed()
  const candidate = handfast(['join', z32.encode(made.invite), '--profile', 'raw'])
  await within(denied, 'the member')
  check(await within(candidate.exited, 'the end') === 5, 'it ends with 5')
  await member.close()
}

// Our candidate asks and goes away; the member comes and answers; the candidate comes back.
async function oursIsAwayWhenTheyAnswer () {
  const at = journal()
  const writer = Buffer.alloc(32, ++number)
  const away = BlindPairing.createInvite(key, { data: Buffer.from('{"readOnly":false}') })
  const code = z32.encode(away.invite)
  const first = ours('candidate', bootstrap, 'dht', code, writer.toString('hex'), at)
  const watcher = await theirs()
  const [, , discovery] = crypto.namespace('blind-pairing/dht', 3)
  const target = crypto.hash([discovery, away.discoveryKey])
  await within(announced(watcher, target), 'the announcement')
  await first.end()
  const accepted = new Promise((resolve) => {
    watcher.pairing.addMember({
      discoveryKey: away.discoveryKey,
      onadd: async (candidate) => {
        candidate.open(away.publicKey)
        candidate.confirm({ key, encryptionKey, additional: away.additional })
        resolve(candidate.userData)
      }
    })
  })
  check((await within(accepted, 'the member')).equals(writer), 'the writer')
  const back = ours('candidate', bootstrap, 'dht', code, writer.toString('hex'), at)
  checkGrant(await back.line())
  await back.end()
  await watcher.close()
}

async function announced (it, target) {
  for (;;) {
    for await (const { peers } of it.swarm.dht.lookup(target)) {
      if (peers.length > 0) return
    }
  }
}

// Their candidate asks while our member, which made the invite, is away.
async function oursIsAwayWhenTheyAsk (road) {
  const at = journal()
  const first = ours('member', bootstrap, road, key.toString('hex'), at)
  const code = await first.says('invite_code')
  await first.end()
  const writer = Buffer.alloc(32, ++number)
  const candidate = await theirCandidate(code, writer)
  await within(new Promise((resolve) => {
    candidate.pairing.active.values().next().value.candidate.once('announce', resolve)
  }), 'the announcement')
  const again = ours('member', bootstrap, road, key.toString('hex'), at)
  checkJoined(await within(candidate.joined, 'the candidate'))
  check((await again.says('user_data')) === writer.toString('hex'), 'the writer')
  await again.end()
  // It stays used, whoever comes, after one more restart.
  const third = ours('member', bootstrap, road, key.toString('hex'), at)
  await third.says('invite_code')
  const late = await theirs()
  const denied = new Promise((resolve) => {
    const { request } = late.pairing.addCandidate({
      invite: z32.decode(code),
      userData: Buffer.alloc(32, 99),
      onadd: async () => resolve('accepted')
    })
    request.on('rejected', (error) => resolve(error.code))
  })
  check(await within(denied, 'the second candidate') === 'INVITE_USED', 'the invite is used')
  await third.end()
  await late.close()
  await candidate.close()
}

// Their member dies when it has the request and has not answered, and starts again with the same invite.
async function theirMemberDies (road) {
  const seed = crypto.hash(Buffer.from(`an invite ${++number}`))
  const code = z32.encode(BlindPairing.createInvite(key, { seed }).invite)
  const member = (does) => {
    return theirProcess('member', ...[key, encryptionKey, seed].map((it) => it.toString('hex')), does)
  }
  const writer = Buffer.alloc(32, ++number).toString('hex')
  const candidate = ours('candidate', bootstrap, road, code, writer, journal())
  const first = member('hold')
  check((await first.says('asked')) === writer, 'the request')
  await first.end()
  const again = member('answer')
  checkGrant(await candidate.line())
  check((await again.says('user_data')) === writer, 'the writer')
  await candidate.end()
  await again.end()
}

// Their candidate dies when our member has just let it in, and asks again: it alone is answered.
async function theirCandidateDies (road) {
  const member = ours('member', bootstrap, road, key.toString('hex'), journal())
  const code = await member.says('invite_code')
  const writer = Buffer.alloc(32, ++number).toString('hex')
  const first = theirProcess('candidate', code, writer)
  check((await member.says('user_data')) === writer, 'the writer')
  await first.end()
  const again = theirProcess('candidate', code, writer)
  await again.says('additional')
  checkOurGrant(again.said)
  await again.end()
  await member.end()
}

// Their candidate asks and dies; our member comes and answers; the candidate is back.
async function theirsIsAwayWhenWeAnswer () {
  const at = journal()
  const member = () => ours('member', bootstrap, 'dht', key.toString('hex'), at)
  const makes = member()
  const code = await makes.says('invite_code')
  await makes.end()
  const writer = Buffer.alloc(32, ++number).toString('hex')
  const asks = theirProcess('candidate', code, writer)
  await asks.says('announced')
  await asks.end()
  const answers = member()
  check((await answers.says('user_data')) === writer, 'the writer')
  const back = theirProcess('candidate', code, writer)
  await back.says('additional')
  checkOurGrant(back.said)
  await back.end()
  await answers.end()
}

async function baseline () {
  const member = await theirMember()
  await member.member.flushed()
  const started = Date.now()
  const candidate = await theirCandidate(member.code, Buffer.alloc(32, ++number))
  await within(candidate.joined, 'the candidate')
  const took = Date.now() - started
  await candidate.close()
  await member.close()
  return took
}

// A vault of autopass as it comes from the registry, which then lists our writer.
async function autopass () {
  const store = new Corestore(path.join(work, 'vault'))
  const vault = new Autopass(store, { bootstrap: [bootstrap] })
  await vault.ready()
  const code = await vault.createInvite()
  const writer = Buffer.alloc(32, 77)
  const started = Date.now()
  const candidate = ours('candidate', bootstrap, 'live', code, writer.toString('hex'), journal())
  const grant = await candidate.line()
  const took = Date.now() - started
  check(grant.key === vault.key.toString('hex'), 'the vault\'s key')
  check(grant.encryption_key === vault.encryptionKey.toString('hex'), 'its encryption key')
  check(grant.additional === '{"readOnly":false}', 'its additional data')
  await vault.base.update()
  const listed = await vault.base.system.get(writer)
  check(listed !== null && !listed.isRemoved, 'the vault lists our writer')
  await candidate.end()
  await vault.close()
  return took
}

async function binaryJoinsAutopass () {
  const vault = new Autopass(new Corestore(path.join(work, 'another vault')), { bootstrap: [bootstrap] })
  await vault.ready()
  const candidate = handfast(['join', await vault.createInvite(), '--profile', 'raw'])
  const joined = await candidate.line()
  check(joined.key === vault.key.toString('hex'), 'the vault\'s key')
  check(joined.encryption_key === vault.encryptionKey.toString('hex'), 'its encryption key')
  const writer = Buffer.from(joined.writer_key, 'hex')
  const seed = Buffer.from(joined.writer_seed, 'hex')
  check(crypto.keyPair(seed).publicKey.equals(writer), 'the writer\'s seed')
  await vault.base.update()
  const listed = await vault.base.system.get(writer)
  check(listed !== null && !listed.isRemoved, 'the vault lists our writer')
  check(await within(candidate.exited, 'the end') === 0, 'it ends well')
  await vault.close()
}

const cases = {
  'JS joins JS, live (to compare)': baseline,
  'ours joins JS, live': () => oursJoinsTheirs('live'),
  'JS joins ours, live': () => theirsJoinsOurs('live'),
  'ours joins JS, DHT only': () => oursJoinsTheirs('dht'),
  'JS joins ours, DHT only': () => theirsJoinsOurs('dht'),
  'ours joins ours, live': () => oursJoinsOurs('live'),
  'ours joins ours, DHT only': () => oursJoinsOurs('dht'),
  'ours are never there together': oursAreNeverThereTogether,
  'ours die in the middle, live': () => oursDieInTheMiddle('live'),
  'ours die in the middle, DHT only': () => oursDieInTheMiddle('dht'),
  'ours is away when JS answers': oursIsAwayWhenTheyAnswer,
  'ours is away when JS asks, DHT only': () => oursIsAwayWhenTheyAsk('dht'),
  'ours is away when JS asks': () => oursIsAwayWhenTheyAsk('live'),
  'JS dies before it answers ours, live': () => theirMemberDies('live'),
  'JS dies before it answers ours, DHT only': () => theirMemberDies('dht'),
  'JS dies when ours answers, live': () => theirCandidateDies('live'),
  'JS dies when ours answers, DHT only': () => theirCandidateDies('dht'),
  'JS is away when ours answers': theirsIsAwayWhenWeAnswer,
  'ours joins an autopass vault': autopass,
  'handfast join --profile raw joins JS': binaryJoinsTheirs,
  'handfast join --profile raw is denied by JS': binaryIsTooLate,
  'JS joins handfast invite --profile raw': theirsJoinsBinary,
  'handfast join --profile raw joins an autopass vault': binaryJoinsAutopass
}

async function theirNodes () {
  const testnet = await createTestnet(10, { host: '127.0.0.1' })
  bootstrap = `127.0.0.1:${testnet.bootstrap[0].port}`
  return () => testnet.destroy()
}

async function ourNodes () {
  const nodes = []
  const listen = ['--json', 'dht', '--listen', '127.0.0.1:0']
  for (let count = 0; count < 10; count++) {
    const known = count === 0 ? [] : ['--bootstrap', bootstrap]
    const node = start(binary, [...listen, ...known])
    const { address } = await node.line()
    if (count === 0) bootstrap = address
    nodes.push(node)
  }
  return () => Promise.all(nodes.map((node) => node.end()))
}

let failed = false
for (const [network, nodes] of [['npm nodes', theirNodes], ['our nodes', ourNodes]]) {
  const close = await nodes()
  for (const [name, run] of Object.entries(cases)) {
    key = Buffer.alloc(32).fill(`the group ${++number}`)
    try {
      const took = await run()
      console.log(`ok    ${network}: ${name}${took ? `: ${took} ms` : ''}`)
    } catch (error) {
      failed = true
      console.log(`FAILED ${network}: ${name}: ${error.stack}`)
    }
  }
  await close()
}
rmSync(work, { recursive: true, force: true })
process.exit(failed ? 1 : 0)
