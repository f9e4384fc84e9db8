// Writes what npm protomux says in a fixed conversation:  node generate.mjs FILE
//
// Each line is `SIDE STEP HEX`: the frames that SIDE writes in that step. The same conversation is
// held by our machines in crates/swarm/src/mux/golden.rs.
import { EventEmitter } from 'events'
import { writeFileSync } from 'fs'
import c from 'compact-encoding'
import Protomux from 'protomux'

class Wire extends EventEmitter {
  constructor () {
    super()
    this.userData = null
    this.destroyed = false
    this.frames = []
  }

  write (frame) {
    this.frames.push(frame)
    return true
  }

  pause () {}
  resume () {}
  end () {}
  destroy (error) {
    throw error || new Error('destroyed')
  }
}

const lines = []
const wires = { a: new Wire(), b: new Wire() }
const a = new Protomux(wires.a)
const b = new Protomux(wires.b)
const settle = () => new Promise((resolve) => setImmediate(resolve))

// What was said is written down and heard by the other side, until both are silent.
async function step (name) {
  await settle()
  for (;;) {
    const said = []
    for (const side of ['a', 'b']) {
      for (const frame of wires[side].frames.splice(0)) {
        lines.push(`${side} ${name} ${frame.toString('hex')}`)
        said.push([side, frame])
      }
    }
    if (said.length === 0) return
    for (const [side, frame] of said) wires[side === 'a' ? 'b' : 'a'].emit('data', frame)
    await settle()
  }
}

const id = Buffer.alloc(32, 7)
const channel = (mux, protocol, id, handshake) => {
  const messages = Array.from({ length: 300 }, () => ({ encoding: c.raw }))
  const made = mux.createChannel({ protocol, id, messages, handshake: handshake ? c.raw : null })
  made.open(handshake)
  return made
}

const plain = channel(a, 'plain', null, null)
channel(b, 'plain', null, null)
await step('open-plain')

const named = channel(a, 'names/1', id, Buffer.from('first'))
channel(b, 'names/1', id, Buffer.from('second'))
await step('open-named')

plain.messages[0].send(Buffer.from('hello'))
plain.messages[299].send(Buffer.alloc(0))
named.messages[1].send(Buffer.alloc(300, 1))
await step('messages')

a.cork()
plain.messages[0].send(Buffer.from('one'))
plain.messages[1].send(Buffer.from('two'))
named.messages[2].send(Buffer.from('three'))
const late = channel(a, 'late', null, null)
plain.messages[0].send(Buffer.from('four'))
a.uncork()
await step('batch')

late.close()
await step('close-rejected')

named.close()
await step('close')

channel(a, 'again', id, null)
b.pair({ protocol: 'again', id }, () => channel(b, 'again', id, Buffer.from('yes')))
await step('offer')

plain.close()
await step('close-plain')

writeFileSync(process.argv[2], lines.join('\n') + '\n')
