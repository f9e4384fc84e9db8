// The obvious alternative to a signed log: every record signed by itself (ECDSA, P-256) and sealed
// by itself (AES-256-GCM). Prints records a second and bytes a record, to be held against
// `cargo bench -p handfast-ledger --bench ledger`. Run: ./run
import { p256 } from '@noble/curves/nist.js'
import { createCipheriv, randomBytes } from 'node:crypto'

const RECORDS = Number(process.argv[2] ?? 5000)
const secret = randomBytes(32)
const key = randomBytes(32)

const records = Array.from({ length: RECORDS }, (_, n) => ({
  id: n,
  name: `Person Number ${n}`,
  email: `person.${n}@example.org`,
  phone: `+1 555 ${String(n).padStart(6, '0')}`,
  city: ['Oslo', 'Paris', 'Lima', 'Kyoto'][n % 4],
  note: 'met at the conference, wants to hear about the project',
  created: 1700000000000 + n * 1000,
}))

let bytes = 0
const start = process.hrtime.bigint()
for (const record of records) {
  const text = Buffer.from(JSON.stringify(record))
  const signature = Buffer.from(p256.sign(text, secret))
  const nonce = randomBytes(12)
  const cipher = createCipheriv('aes-256-gcm', key, nonce)
  const sealed = Buffer.concat([cipher.update(JSON.stringify({
    ...record, signature: signature.toString('base64'),
  })), cipher.final(), cipher.getAuthTag()])
  // As JSON on the wire: nonce and ciphertext in base64.
  bytes += JSON.stringify({ n: nonce.toString('base64'), c: sealed.toString('base64') }).length
}
const seconds = Number(process.hrtime.bigint() - start) / 1e9
console.log(`${Math.round(RECORDS / seconds)} records/s, ${Math.round(bytes / RECORDS)} bytes a record`)
