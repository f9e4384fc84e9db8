// Ten nodes of npm hyperdht on this machine:  node testnet.mjs
// Writes their addresses as one JSON line and runs until its input ends.
import createTestnet from 'hyperdht/testnet.js'

const testnet = await createTestnet(10, { host: '127.0.0.1' })
console.log(JSON.stringify(testnet.bootstrap.map(({ host, port }) => `${host}:${port}`)))
process.stdin.resume()
process.stdin.on('end', async () => {
  await testnet.destroy()
  process.exit(0)
})
