// Seals one message in each HPKE mode that Handfast uses with the npm package @hpke/core, for
// crates/keys/tests/hpke.rs to open. Run: npm ci && node generate.mjs > FILE
import { Aes256Gcm, CipherSuite, DhkemP256HkdfSha256, HkdfSha256 } from '@hpke/core'

const suite = new CipherSuite({
  kem: new DhkemP256HkdfSha256(),
  kdf: new HkdfSha256(),
  aead: new Aes256Gcm(),
})
const hex = (bytes) => Buffer.from(bytes).toString('hex')
const fill = (byte) => new Uint8Array(32).fill(byte)

const recipient = await suite.kem.deriveKeyPair(fill(1))
const sender = await suite.kem.deriveKeyPair(fill(2))
const scalar = async (pair) => hex(await suite.kem.serializePrivateKey(pair.privateKey))
const info = fill(3)
const psk = { key: fill(4), id: fill(5) }
const plaintext = new TextEncoder().encode('Handfast')

const seal = async (mode) => {
  const { enc, ct } = await suite.seal({ recipientPublicKey: recipient.publicKey, info, ...mode }, plaintext)
  return hex(enc) + hex(ct)
}
console.log(JSON.stringify({
  recipient: await scalar(recipient),
  sender: await scalar(sender),
  info: hex(info),
  psk: hex(psk.key),
  psk_id: hex(psk.id),
  plaintext: hex(plaintext),
  base: await seal({}),
  psk_mode: await seal({ psk }),
  auth: await seal({ senderKey: sender }),
}, null, 2))
