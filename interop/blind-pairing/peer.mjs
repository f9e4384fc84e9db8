// An unmodified blind-pairing peer in a process of its own, which can be killed. All it has to keep is in its
// arguments: a seed makes the same invite again, an invite and user data the same request.
// node peer.mjs member    BOOTSTRAP KEY ENCRYPTION_KEY SEED answer|hold
//     says {asked} when it has a request, and {user_data} when it has let its candidate in; `hold` does not
// node peer.mjs candidate BOOTSTRAP INVITE USER_DATA
//     says {announced} when its request lies on the DHT, and what it was granted
import BlindPairing from 'blind-pairing'
import Hyperswarm from 'hyperswarm'
import z32 from 'z32'

const [, , role, bootstrap, ...rest] = process.argv
const swarm = new Hyperswarm({ bootstrap: [bootstrap] })
swarm.on('connection', (connection) => connection.on('error', () => {}))
const pairing = new BlindPairing(swarm, { poll: 1000 })

function say (line) {
  console.log(JSON.stringify(line))
}

if (role === 'member') {
  const [key, encryptionKey, seed] = rest.slice(0, 3).map((hex) => Buffer.from(hex, 'hex'))
  const invite = BlindPairing.createInvite(key, { seed, data: Buffer.from('{"readOnly":false}') })
  pairing.addMember({
    discoveryKey: invite.discoveryKey,
    onadd: async (candidate) => {
      const userData = candidate.open(invite.publicKey).toString('hex')
      say({ asked: userData })
      if (rest[3] === 'hold') await new Promise(() => {})
      candidate.confirm({ key, encryptionKey, additional: invite.additional })
      say({ user_data: userData })
    }
  })
} else {
  const [code, userData] = rest
  const candidate = pairing.addCandidate({
    invite: z32.decode(code),
    userData: Buffer.from(userData, 'hex'),
    onadd: async ({ key, encryptionKey, data }) => {
      say({
        key: key.toString('hex'),
        encryption_key: encryptionKey.toString('hex'),
        additional: data.toString()
      })
    }
  })
  candidate.once('announce', () => say({ announced: true }))
}
