// Our client of delegated routers against Helia's server of them.

import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { test } from 'node:test'
import { promisify } from 'node:util'
import { dhtRouters, memoryRouter } from './routers.mjs'

const run = promisify(execFile)

async function client (urls) {
  const { stdout } = await run(process.env.ROUTER_CLIENT, urls, { timeout: 60_000 })
  return JSON.parse(stdout)
}

test('a router that keeps the better record passes the conformance suite', async t => {
  const router = await memoryRouter()
  t.after(router.close)
  assert.deepEqual(await client(router.urls), { conforms: true, waits: false })
})

test('a DHT: what is published at one door is found at the other', async t => {
  const router = await dhtRouters(5)
  t.after(router.close)
  const seen = await client(router.urls)
  t.diagnostic(JSON.stringify(seen))
  assert.equal(seen.refuses_lower, false)
  // Nodes written in JavaScript take a lower record in place of a higher one.
  assert.equal(seen.rolls_back, true)
})
