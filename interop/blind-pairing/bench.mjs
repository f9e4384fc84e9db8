// How long blind-pairing-core takes for what `cargo bench -p handfast-pairing --bench invite` measures:
// node bench.mjs
import { readFileSync } from 'node:fs'
import core from 'blind-pairing-core'
import messages from 'blind-pairing-core/lib/messages.js'
import c from 'compact-encoding'

const { CandidateRequest, MemberRequest } = core
const file = new URL('../../crates/pairing/tests/golden/blind-pairing.json', import.meta.url)
const golden = JSON.parse(readFileSync(file))
const invite = Buffer.from(golden.invites[9].hex, 'hex')
const request = Buffer.from(golden.requests[0].request, 'hex')
const response = Buffer.from(golden.requests[0].responses['with both'], 'hex')
const plain = Buffer.from(golden.invites[0].hex, 'hex')
const { publicKey } = core.createInvite(Buffer.alloc(32, 1), { seed: Buffer.alloc(32, 7) })

function measure (name, work) {
  for (let i = 0; i < 2_000; i++) work()
  const rounds = []
  for (let round = 0; round < 9; round++) {
    const begun = process.hrtime.bigint()
    for (let i = 0; i < 2_000; i++) work()
    rounds.push(Number(process.hrtime.bigint() - begun) / 2_000)
  }
  rounds.sort((a, b) => a - b)
  console.log(`${name}: ${Math.round(rounds[4])} ns`)
}

const both = (encoding, bytes) => c.encode(encoding, c.decode(encoding, bytes))
measure('invite: decode and encode', () => both(messages.Invite, invite))
measure('request: decode and encode', () => both(messages.InviteRequest, request))
measure('response: decode and encode', () => both(messages.InviteResponse, response))
const userData = Buffer.from('hello world')
measure('request: make and open', () => {
  MemberRequest.from(new CandidateRequest(plain, userData).encode()).open(publicKey)
})
const candidate = new CandidateRequest(plain, userData)
const payload = c.decode(messages.InviteResponse, response).payload
measure('response: open', () => candidate._openResponse(payload))
