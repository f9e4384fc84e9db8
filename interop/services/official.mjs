// Runs each service's own client against the double of the service, and checks what comes of it.

import assert from 'node:assert/strict'
import { create } from 'kubo-rpc-client'
import { CID } from 'multiformats/cid'
import * as raw from 'multiformats/codecs/raw'
import { sha256 } from 'multiformats/hashes/sha2'
import { PinataSDK } from 'pinata'
import * as w3name from 'w3name'
import W3NameService from 'w3name/service'
import { File, Web3Storage } from 'web3.storage'

const at = JSON.parse(process.argv[2])
const text = `hello, it is ${Date.now()}`
const cidOf = async (text) => CID.createV1(raw.code, await sha256.digest(new TextEncoder().encode(text)))
const cid = (await cidOf(text)).toString()

async function pinata () {
  const { url, jwt } = at.pinata
  const sdk = new PinataSDK({
    pinataJwt: jwt,
    pinataGateway: url.replace('http://', ''),
    endpointUrl: `${url}/v3`,
    uploadUrl: `${url}/v3`,
    legacyUploadUrl: `${url}/pinning/pinFileToIPFS`
  })
  assert.match(await sdk.testAuthentication().then(String), /object|Congratulations/i)
  const uploaded = await sdk.upload.public.file(new File([text], 'block'))
  assert.equal(uploaded.cid, cid)
  const listed = await sdk.files.public.list().cid(cid)
  assert.equal(listed.files[0].cid, cid)
  const fetched = await fetch(`${url}/ipfs/${cid}`)
  assert.equal(await fetched.text(), text)
  const deleted = await sdk.files.public.delete([uploaded.id])
  assert.match(JSON.stringify(deleted), /OK/)
  assert.equal((await sdk.files.public.list().cid(cid)).files.length, 0)
  await sdk.upload.public.cid(cid)
  assert.equal((await sdk.files.public.list().cid(cid)).files[0].cid, cid)

  // Version 1, in which the client uploads folders; and the form that our own client sends.
  const files = [new File(['a'], 'a.txt'), new File(['b'], 'b.txt')]
  const folder = await sdk.upload.public.fileArray(files)
  const expected = await new Web3Storage({ token: at.web3storage.token, endpoint: new URL(at.web3storage.url) }).put(files)
  assert.equal(folder.cid ?? folder.IpfsHash, expected)
  const headers = { Authorization: `Bearer ${jwt}` }
  const form = new FormData()
  form.append('file', new Blob([text]), 'block')
  form.append('pinataOptions', JSON.stringify({ cidVersion: 1 }))
  const legacy = await fetch(`${url}/pinning/pinFileToIPFS`, { method: 'POST', headers, body: form })
  assert.equal((await legacy.json()).IpfsHash, cid)

  const stranger = new PinataSDK({ pinataJwt: 'nobody', pinataGateway: 'x', endpointUrl: `${url}/v3`, uploadUrl: `${url}/v3` })
  await assert.rejects(async () => stranger.upload.public.file(new File([text], 'block')), /401|Authentication/i)
}

async function kubo ({ url, authorization }, names) {
  const client = create({ url: `${url}/api/v0`, headers: { authorization } })
  assert.match((await client.version()).version, /^\d+\.\d+\.\d+$/)
  const put = await client.block.put(new TextEncoder().encode(text), { format: 'raw', mhtype: 'sha2-256', pin: true })
  assert.equal(put.toString(), cid)
  const got = await client.block.get(put)
  assert.equal(new TextDecoder().decode(got), text)
  const pins = async () => {
    const found = []
    for await (const pin of client.pin.ls({ paths: [put] })) found.push(pin.cid.toString())
    return found
  }
  assert.deepEqual(await pins(), [cid])
  assert.equal((await client.pin.rm(put)).toString(), cid)
  await assert.rejects(client.pin.rm(put), /not pinned/)
  await assert.rejects(pins(), /is not pinned/)
  assert.equal((await client.pin.add(put)).toString(), cid)
  const missing = await cidOf(text + ' not')
  await assert.rejects(client.block.get(missing), /not find|not found/)

  if (names) {
    const name = await w3name.create()
    const record = await recordOf(name)
    const events = []
    for await (const event of client.routing.put(`/ipns/${name.toString()}`, record)) events.push(event)
    assert.ok(events.length > 0)
    const values = []
    for await (const event of client.routing.get(`/ipns/${name.toString()}`)) {
      if (event.name === 'VALUE') values.push(event.value)
    }
    assert.equal(values.length, 1)
    const delegated = await fetch(`${at.delegated.url}/routing/v1/ipns/${name.toString()}`, {
      headers: { accept: 'application/vnd.ipfs.ipns-record' }
    })
    assert.equal(delegated.headers.get('content-type'), 'application/vnd.ipfs.ipns-record')
    assert.deepEqual(new Uint8Array(await delegated.arrayBuffer()), record)
  }
  const stranger = create({ url: `${url}/api/v0`, headers: { authorization: 'Bearer nobody' } })
  await assert.rejects(stranger.version(), /403|401|Access Denied|auth failure|HTTPError|Forbidden|Unauthorized/i)
}

// The bytes of a name's record, as w3name's client signs it, taken from the service.
async function recordOf (name) {
  const service = new W3NameService(new URL(at.w3name.url + '/'))
  const revision = await w3name.v0(name, `/ipfs/${cid}`)
  await w3name.publish(revision, name.key, service)
  const held = await (await fetch(`${at.w3name.url}/name/${name.toString()}`)).json()
  return new Uint8Array(Buffer.from(held.record, 'base64'))
}

async function names () {
  const service = new W3NameService(new URL(at.w3name.url + '/'))
  const name = await w3name.create()
  await assert.rejects(w3name.resolve(name, service), /not found/)
  const first = await w3name.v0(name, `/ipfs/${cid}`)
  await w3name.publish(first, name.key, service)
  assert.equal((await w3name.resolve(name, service)).value, `/ipfs/${cid}`)
  const second = await w3name.increment(first, '/ipfs/bafkqaaa')
  await w3name.publish(second, name.key, service)
  const resolved = await w3name.resolve(name, service)
  assert.equal(resolved.value, '/ipfs/bafkqaaa')
  assert.equal(resolved.sequence, 1n)
  await assert.rejects(w3name.publish(first, name.key, service), /outdated/)
}

async function web3Storage () {
  const { url, token } = at.web3storage
  const client = new Web3Storage({ token, endpoint: new URL(url) })
  const put = await client.put([new File([text], 'block')], { wrapWithDirectory: false, name: 'block' })
  assert.equal(put, cid)
  const fetched = await client.get(cid)
  assert.equal(await (await fetched.files())[0].text(), text)
  assert.equal((await client.status(cid)).pins[0].status, 'Pinned')
  const missing = (await cidOf(text + ' not')).toString()
  assert.equal(await client.status(missing), undefined)
  assert.equal((await client.get(missing)).status, 404)
  const listed = []
  for await (const upload of client.list()) listed.push(upload.cid)
  assert.ok(listed.includes(cid))

  // A folder: the client computes its CID, and so must the service's answer be.
  const folder = await client.put([new File(['a'], 'a.txt'), new File(['b'], 'b.txt')])
  const files = await (await client.get(folder)).files()
  assert.deepEqual(await Promise.all(files.map((file) => file.text())), ['a', 'b'])

  const stranger = new Web3Storage({ token: 'nobody', endpoint: new URL(url) })
  await assert.rejects(stranger.put([new File([text], 'x')], { maxRetries: 0 }), /no longer valid/)
}

// What one service stores, the gateway of the same network serves.
async function gateway () {
  const block = await fetch(`${at.gateway.url}/ipfs/${cid}?format=raw`)
  assert.equal(block.headers.get('content-type'), 'application/vnd.ipld.raw')
  assert.equal(await block.text(), text)
}

const basic = Buffer.from(`${at.infura.id}:${at.infura.secret}`).toString('base64')
const checks = [
  ['pinata', pinata],
  ['kubo-rpc-client, a Kubo node', () => kubo({ url: at.kubo.url, authorization: `Bearer ${at.kubo.token}` }, true)],
  ['kubo-rpc-client, Infura', () => kubo({ url: at.infura.url, authorization: `Basic ${basic}` }, false)],
  ['w3name', names],
  ['web3.storage', web3Storage],
  ['gateway', gateway]
]
for (const [name, check] of checks) {
  await check()
  console.log(`ok  ${name}`)
}
process.exit(0)
