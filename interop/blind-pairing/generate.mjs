// Writes the golden bytes of blind-pairing-core: node generate.mjs FILE
import { writeFileSync } from 'node:fs'
import { isDeepStrictEqual } from 'node:util'
import core from 'blind-pairing-core'
import crypto from 'hypercore-crypto'
import z32 from 'z32'

const { CandidateRequest, MemberRequest, createInvite, decodeInvite } = core

const bytes = (value, length = 32) => Buffer.alloc(length).fill(value)
const hex = (buffer) => (buffer ? Buffer.from(buffer).toString('hex') : null)

function check (condition, what) {
  if (!condition) throw new Error(what)
}

const key = bytes(1)
const seed = bytes(7)
const nodes = [
  { host: '88.99.3.86', port: 10001 },
  { host: '127.0.0.1', port: 10002 },
  { host: '192.168.3.4', port: 10003 },
  { host: '142.93.90.113', port: 65535 },
  { host: '203.0.113.9', port: 10004 }
]

const wishes = {
  plain: {},
  expires: { expires: 1_790_000_000_999 },
  sensitive: { sensitive: true },
  test: { testInvitation: true },
  nodes: { additionalNodes: nodes },
  'no nodes that count': { additionalNodes: nodes.slice(1, 3) },
  'no nodes': { additionalNodes: [] },
  'no discovery key': { discoveryKey: null },
  'another discovery key': { discoveryKey: bytes(9) },
  everything: {
    expires: 1_790_000_000_000,
    sensitive: true,
    testInvitation: true,
    additionalNodes: nodes
  }
}

const suffix = Buffer.concat([bytes(0xaa), bytes(0xbb)])
const invites = Object.entries(wishes).map(([name, wish]) => {
  const made = createInvite(key, { seed, ...wish })
  const decoded = decodeInvite(made.invite)
  // A JavaScript peer reads an invite of ours as if nothing followed it.
  const ours = Buffer.concat([made.invite, suffix])
  const app = Buffer.concat([ours, Buffer.from([1])])
  for (const longer of [ours, app]) {
    check(isDeepStrictEqual(decodeInvite(longer), decoded), `${name}: the suffix is in the way`)
  }
  return {
    name,
    id: hex(made.id),
    public_key: hex(made.publicKey),
    discovery_key: hex(decoded.discoveryKey),
    expires: decoded.expires / 1000,
    sensitive: decoded.sensitive,
    test: decoded.testInvitation,
    nodes: decoded.additionalNodes?.map(({ host, port }) => `${host}:${port}`) ?? null,
    given_nodes: wish.additionalNodes?.map(({ host, port }) => `${host}:${port}`) ?? null,
    hex: hex(made.invite),
    z32: z32.encode(made.invite),
    with_suffix: z32.encode(ours),
    of_app: z32.encode(app)
  }
})

const { invite, publicKey, additional } = createInvite(key, { seed, data: Buffer.from('{"readOnly":false}') })

// The same derivations as in blind-pairing, which keeps them to itself.
const [NS_EPHEMERAL, NS_REPLY, NS_DISCOVERY] = crypto.namespace('blind-pairing/dht', 3)

const responses = {
  confirmed: (request) => request.confirm({ key }),
  'with encryption key': (request) => request.confirm({ key, encryptionKey: bytes(2) }),
  'with additional data': (request) => request.confirm({ key, additional }),
  'with both': (request) => request.confirm({ key, encryptionKey: bytes(2), additional }),
  rejected: (request) => request.deny(),
  used: (request) => request.deny({ status: 2 }),
  expired: (request) => request.deny({ status: 3 }),
  'wrong key': (request) => request.confirm({ key: bytes(3) }),
  'additional data of somebody else': (request) =>
    request.confirm({ key, additional: { data: Buffer.from('x'), signature: bytes(5, 64) } })
}

const users = ['hello world', 'different', 'w'.repeat(300), 'x'.repeat(849)]
const requests = users.map((text) => {
  const userData = Buffer.from(text)
  const candidate = new CandidateRequest(invite, userData)
  const token = Buffer.from(candidate.token)
  const received = MemberRequest.from(candidate.encode())
  check(received.open(publicKey).equals(userData), 'the request opens')
  return {
    user_data: hex(userData),
    session: hex(candidate.session),
    id: hex(candidate.id),
    request: hex(candidate.encode()),
    receipt: hex(received.receipt),
    request_mailbox: hex(crypto.keyPair(crypto.hash([NS_EPHEMERAL, token])).publicKey),
    response_mailbox: hex(crypto.keyPair(crypto.hash([NS_REPLY, token])).publicKey),
    responses: Object.fromEntries(
      Object.entries(responses).map(([name, answer]) => {
        const request = MemberRequest.from(candidate.encode())
        request.open(publicKey)
        answer(request)
        return [name, hex(request.response)]
      })
    )
  }
})

const golden = {
  key: hex(key),
  seed: hex(seed),
  discovery_key: hex(crypto.discoveryKey(key)),
  mailbox_topic: hex(crypto.hash([NS_DISCOVERY, crypto.discoveryKey(key)])),
  encryption_key: hex(bytes(2)),
  additional: hex(additional.data),
  immutable: hex(crypto.hash(Buffer.from('an immutable value'))),
  invites,
  requests
}

writeFileSync(process.argv[2], JSON.stringify(golden, null, 2) + '\n')
