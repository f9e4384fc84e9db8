// Whole devices over routers of other people's making: two that pair, data both ways, a third one.
// Blocks lie at `handfast host`, names at the routers alone.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Command, directory, host } from '../handfast.mjs'
import { publicKeyFromRaw } from '@libp2p/crypto/keys'
import { dhtRouters, memoryRouter } from './routers.mjs'

const RECORD = 'application/vnd.ipfs.ipns-record'

class Device {
  constructor (name) {
    this.name = name
    this.home = directory()
  }

  start (...args) {
    return new Command(args, { home: this.home })
  }

  async run (...args) {
    const [answer] = await new Command(args, { home: this.home, input: '' }).succeeded()
    return answer
  }

  /** A device that is set up, and maybe knows a provider. */
  static async made (name, served, routers) {
    const device = new Device(name)
    await device.run('init', '--name', name)
    if (served != null) {
      const names = routers.urls.flatMap(url => ['--name-router', url])
      const token = ['--auth-token-file', served.tokenFile]
      await device.run('provider', 'set', 'self-hosted', '--endpoint', served.url, ...token, ...names)
    }
    return device
  }

  set (key, text) {
    return this.run('records', 'set', 'notes', '--key', key, `what=${key}`, `text=${text}`)
  }

  async notes () {
    const { records } = await this.run('records', 'list', 'notes')
    return Object.fromEntries(records.map(({ fields }) => [fields.what, fields.text]))
  }

  async devices () {
    const { devices } = await this.run('devices')
    return devices.map(({ name }) => name).sort()
  }

  async sync () {
    const synced = await this.run('sync')
    assert.deepEqual(synced.trouble, [], this.name)
    return synced
  }
}

/** `one` shows a code, `other` answers it, and the people at both type what they see. */
async function pair (one, other) {
  const shows = one.start('pair')
  const { code } = await shows.next('code')
  const joins = other.start('join', code)
  const seen = await joins.next('check_code')
  await shows.next('question')
  shows.type(seen.emojis.map(({ word }) => word).join(' '))
  const shown = await shows.next('check_code')
  assert.deepEqual(shown.emojis, seen.emojis)
  joins.type(shown.back_digits)
  const finished = [await shows.next('finished'), await joins.next('finished')]
  await Promise.all([shows.succeeded(), joins.succeeded()])
  assert.deepEqual(finished.map(({ name }) => name), [other.name, one.name])
  return finished.map(({ records }) => records)
}

async function whole (t, routers) {
  t.after(routers.close)
  const served = await host()
  t.after(async () => assert.equal(await served.command.stop(), 0))

  const laptop = await Device.made('laptop', served, routers)
  const phone = await Device.made('phone')
  await laptop.set('milk', 'two litres')
  await phone.set('bread', 'rye')
  await phone.set('tea', 'green')
  const start = Date.now()
  assert.deepEqual(await pair(laptop, phone), [3, 3])
  t.diagnostic(`paired in ${Date.now() - start} ms`)
  const both = { milk: 'two litres', bread: 'rye', tea: 'green' }
  assert.deepEqual(await laptop.notes(), both)
  assert.deepEqual(await phone.notes(), both)
  // The provider came with the pairing, routers and all.
  const { provider } = await phone.run('provider', 'show')
  assert.deepEqual(provider.name_routers, routers.urls)

  await laptop.set('milk', 'three litres')
  await laptop.sync()
  assert.equal((await phone.sync()).mutations, 1)
  assert.equal((await phone.notes()).milk, 'three litres')
  await phone.set('tea', 'black')
  await phone.sync()
  assert.equal((await laptop.sync()).mutations, 1)
  assert.equal((await laptop.notes()).tea, 'black')

  const tablet = await Device.made('tablet')
  await tablet.set('salt', 'coarse')
  assert.deepEqual(await pair(phone, tablet), [4, 4])
  // The laptop hears of the tablet from the phone, and lets it in; then the tablet lets it in.
  for (const device of [laptop, tablet, laptop]) await device.sync()
  const all = ['laptop', 'phone', 'tablet']
  for (const device of [laptop, phone, tablet]) assert.deepEqual(await device.devices(), all)
  assert.equal((await laptop.notes()).salt, 'coarse')
  await laptop.set('salt', 'fine')
  await laptop.sync()
  await tablet.sync()
  assert.equal((await tablet.notes()).salt, 'fine')
  await tablet.set('oil', 'olive')
  await tablet.sync()
  await laptop.sync()
  await phone.sync()
  const last = { milk: 'three litres', bread: 'rye', tea: 'black', salt: 'fine', oil: 'olive' }
  for (const device of [laptop, phone, tablet]) assert.deepEqual(await device.notes(), last)
  return { laptop, phone, tablet }
}

/** The name under which a device publishes. */
async function nameOf (device) {
  const { devices } = await device.run('devices')
  const key = devices.find(({ name }) => name === device.name).ipns_public_key
  return publicKeyFromRaw(Buffer.from(key, 'hex')).toCID().toString()
}

const at = (url, name) => `${url}/routing/v1/ipns/${name}`

async function get (url, name) {
  const answer = await fetch(at(url, name), { headers: { accept: RECORD } })
  assert.equal(answer.headers.get('content-type'), RECORD)
  return Buffer.from(await answer.arrayBuffer())
}

async function put (url, name, body) {
  const headers = { 'content-type': RECORD }
  assert.equal((await fetch(at(url, name), { method: 'PUT', headers, body })).status, 200)
}

async function memory (t) {
  await whole(t, await memoryRouter())
}

async function rolledBack (t) {
  const routers = await dhtRouters(5)
  const { laptop, phone, tablet } = await whole(t, routers)
  const name = await nameOf(laptop)
  const old = await get(routers.urls[0], name)
  await laptop.set('oil', 'sunflower')
  await laptop.sync()
  await phone.sync()
  const newest = await get(routers.urls[1], name)
  assert.notDeepEqual(newest, old)

  // Somebody who has kept an old record puts it back. Whoever has seen more keeps it, and puts the
  // newest one back in its turn, so that those who have not seen it get it.
  for (const url of routers.urls) await put(url, name, old)
  assert.deepEqual(await get(routers.urls[0], name), old)
  assert.equal((await phone.sync()).mutations, 0)
  assert.equal((await phone.notes()).oil, 'sunflower')
  assert.deepEqual(await get(routers.urls[0], name), newest)
  await tablet.sync()
  assert.equal((await tablet.notes()).oil, 'sunflower')
}

async function watching (t) {
  const routers = await memoryRouter()
  t.after(routers.close)
  const served = await host()
  t.after(async () => assert.equal(await served.command.stop(), 0))
  const laptop = await Device.made('laptop', served, routers)
  const phone = await Device.made('phone')
  await laptop.set('milk', 'one')
  await pair(laptop, phone)
  const watch = phone.start('sync', '--watch')
  await watch.next('watching')
  await laptop.set('milk', 'two')
  await laptop.sync()
  assert.equal((await watch.next('records_changed')).records, 1)
  assert.equal(await watch.stop(), 0)
  assert.equal((await phone.notes()).milk, 'two')
}

// Side by side: the last one mostly waits.
test('devices', { concurrency: 3 }, t => Promise.all([
  t.test('over a router that keeps the better record', memory),
  t.test('over a DHT that is rolled back', rolledBack),
  t.test('a device that stays in step notices an edit within its schedule', watching)
]))
