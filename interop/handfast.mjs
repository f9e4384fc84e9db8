// Runs the `handfast` binary: its path is in HANDFAST_BIN, its keys lie in files. Whatever is still
// running when this process ends is killed.

import { spawn } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'

// Node 20 has no Promise.withResolvers yet, which the packages under test use.
Promise.withResolvers ??= function () {
  const made = {}
  made.promise = new this((resolve, reject) => Object.assign(made, { resolve, reject }))
  return made
}

const binary = process.env.HANDFAST_BIN
if (binary == null) throw new Error('HANDFAST_BIN is not set: use the script `run`')

// How long a line or an end is waited for.
const PATIENCE = 60_000
const running = new Set()
const directories = []

process.on('exit', () => {
  for (const child of running) child.kill('SIGKILL')
  for (const directory of directories) rmSync(directory, { recursive: true, force: true })
})
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, () => process.exit(1))

/** A directory that is gone when this process ends. */
export function directory () {
  const made = mkdtempSync(join(tmpdir(), 'handfast-interop-'))
  directories.push(made)
  return made
}

/** A `handfast --json` command that is running. */
export class Command {
  #child
  #lines = []
  #wake = () => {}
  #ended

  /** `input` is what stands on its standard input; without it, that stays open for `type`. */
  constructor (args, { home, input } = {}) {
    const env = { ...process.env, HANDFAST_KEYS: 'file', HANDFAST_DHT: 'off' }
    delete env.HANDFAST_HOME
    delete env.HANDFAST_AUTH_TOKEN
    if (home != null) env.HANDFAST_HOME = home
    this.name = `handfast ${args.join(' ').slice(0, 60)}`
    const child = spawn(binary, ['--json', ...args], { env })
    this.#child = child
    running.add(child)
    child.stdin.on('error', () => {})
    if (input != null) child.stdin.end(input)
    this.err = ''
    child.stderr.setEncoding('utf8').on('data', text => { this.err += text })
    createInterface({ input: child.stdout }).on('line', line => {
      this.#lines.push(JSON.parse(line))
      this.#wake()
    })
    this.#ended = new Promise((resolve, reject) => {
      child.on('error', reject)
      child.on('close', (code, signal) => {
        running.delete(child)
        this.code = code ?? signal
        this.#wake()
        resolve(this.code)
      })
    })
  }

  /** The next line whose `type` is this; those before it are dropped. */
  async next (type) {
    const deadline = AbortSignal.timeout(PATIENCE)
    for (;;) {
      while (this.#lines.length > 0) {
        const line = this.#lines.shift()
        if (line.type === type) return line
      }
      if (this.code !== undefined || deadline.aborted) {
        throw new Error(`${this.name}: no "${type}" (ended: ${this.code}): ${this.err}`)
      }
      await new Promise(resolve => {
        this.#wake = resolve
        deadline.onabort = resolve
      })
    }
  }

  /** Types a line. */
  type (line) {
    this.#child.stdin.write(`${line}\n`)
  }

  /** Stops it as Ctrl-C does, and waits for its end. */
  stop () {
    this.#child.kill('SIGINT')
    return this.ended()
  }

  /** Waits for its end: its exit code. */
  async ended () {
    const timer = setTimeout(() => this.#child.kill('SIGKILL'), PATIENCE)
    const code = await this.#ended
    clearTimeout(timer)
    return code
  }

  /** Waits for its success: the lines that nobody took. */
  async succeeded () {
    const code = await this.ended()
    if (code !== 0) {
      throw new Error(`${this.name} ended with ${code}: ${this.err} ${JSON.stringify(this.#lines)}`)
    }
    return this.#lines
  }
}

/** A `handfast host` on a free port: its URL, its token, and the command that it is. */
export async function host () {
  const data = directory()
  const command = new Command(['host', '--data', data, '--listen', '127.0.0.1:0'])
  const { url, token_file: tokenFile } = await command.next('listening')
  return { url, tokenFile, token: readFileSync(tokenFile, 'utf8').trim(), command }
}
