import { isAscii } from 'node:buffer'
import type { AcquireRequest, AcquireResult, IdempotencyStore, Lease } from '../../idempotency/store.ts'
import type { SendCommand } from './client.ts'
import { Script } from './script.ts'
import { ACQUIRE, COMPLETE, HEARTBEAT, READ, RELEASE, SERVER_TIME, TOLD_TIME } from './scripts.ts'

export interface RedisStoreParts {
  readonly send: SendCommand
  readonly prefix: string
  /** The time, for tests; the server's own without it. */
  readonly nowMs?: () => number
}

/** For an answer that no script of this store gives. */
const unexpectedAnswer = (answer: unknown): Error =>
  new Error(`redisStore: unexpected answer of Redis: ${String(answer)}`)

export class RedisStore implements IdempotencyStore {
  readonly name = 'redis'
  readonly #parts: RedisStoreParts
  readonly #acquire: Script
  readonly #heartbeat: Script
  readonly #complete: Script
  readonly #release: Script
  readonly #read: Script

  constructor(parts: RedisStoreParts) {
    this.#parts = parts
    const time = parts.nowMs === undefined ? SERVER_TIME : TOLD_TIME
    const script = (source: string): Script => new Script(time + source, parts.send)
    this.#acquire = script(ACQUIRE)
    this.#heartbeat = script(HEARTBEAT)
    this.#complete = script(COMPLETE)
    this.#release = script(RELEASE)
    this.#read = script(READ)
  }

  async acquire(request: AcquireRequest): Promise<AcquireResult> {
    const { fingerprint, owner, leaseMs, ttlMs, abandoned, maxKeysPerScope } = request
    const takeover = abandoned === 'takeover' ? '1' : '0'
    const rules = [String(leaseMs), String(ttlMs), takeover, String(maxKeysPerScope)]
    const answer = await this.#run(this.#acquire, request, fingerprint, owner, ...rules)
    if (answer instanceof Uint8Array) return { type: 'done', response: bytesOf(answer) }
    if (!Array.isArray(answer)) return { type: 'acquired', fence: numberOf(answer) }
    const [word, value] = answer as unknown[]
    const type = textOf(word)
    switch (type) {
      case 'busy':
        return { type, retryAfterMs: numberOf(value) }
      case 'full':
        return { type, limit: 'scope', retryAfterMs: numberOf(value) }
      case 'mismatch':
      case 'abandoned':
        return { type }
      default:
        throw unexpectedAnswer(type)
    }
  }

  async heartbeat(lease: Lease): Promise<'extended' | 'lost'> {
    return (await this.#owned(this.#heartbeat, lease, lease.owner, String(lease.leaseMs)))
      ? 'extended'
      : 'lost'
  }

  async complete(lease: Lease, response: Uint8Array): Promise<'completed' | 'stale'> {
    const args = [lease.owner, String(lease.leaseMs), argumentOf(response)]
    return (await this.#owned(this.#complete, lease, ...args)) ? 'completed' : 'stale'
  }

  async release(lease: Lease): Promise<'released' | 'stale'> {
    return (await this.#owned(this.#release, lease, lease.owner)) ? 'released' : 'stale'
  }

  async read(lease: Lease): Promise<Uint8Array | undefined> {
    const answer = await this.#run(this.#read, lease, lease.fingerprint)
    return answer === null ? undefined : bytesOf(answer)
  }

  /** Runs a script of the owner's; false where the key is no longer theirs. */
  async #owned(...call: ScriptCall): Promise<boolean> {
    const answer = await this.#run(...call)
    const number = numberOf(answer)
    if (number !== 0 && number !== 1) throw unexpectedAnswer(answer)
    return number === 1
  }

  #run(...[script, { scope, key }, ...args]: ScriptCall): Promise<unknown> {
    const { prefix, nowMs } = this.#parts
    // What stands in braces decides the slot: all keys of a scope have the same, whatever its name is made of.
    const slot = `${prefix}{s${withoutBraces(scope)}}`
    if (nowMs !== undefined) args.push(String(nowMs()))
    return script.run(`${slot}:key:${key}`, `${slot}:keys`, ...args)
  }
}

type ScriptCall = [script: Script, record: Lease, ...args: (string | Buffer)[]]

/** Every scope has another name, and none has a brace. */
const withoutBraces = (scope: string): string =>
  scope.replaceAll(/[^!-$&-z]/g, (unit) => `%${unit.charCodeAt(0).toString(16)}.`)

/**
 * With bytes among its arguments ioredis puts a command together piece by piece: a response of 300 bytes is cheaper as a
 * text, which saves 1 of 20 us an execution. One of 10 KB costs 3 us more that way, and one of 1 MB three times as much.
 */
const MAX_TEXT = 4096

function argumentOf(response: Uint8Array): string | Buffer {
  const bytes = Buffer.from(response.buffer, response.byteOffset, response.byteLength)
  return bytes.length <= MAX_TEXT && isAscii(bytes) ? bytes.toString('latin1') : bytes
}

/** Also from a client that gives numbers as texts. */
function numberOf(value: unknown): number {
  const number = typeof value === 'string' ? Number(value) : value
  if (typeof number !== 'number' || !Number.isFinite(number)) throw unexpectedAnswer(value)
  return number
}

function textOf(value: unknown): string {
  if (typeof value === 'string') return value
  return Buffer.from(bytesOf(value)).toString()
}

function bytesOf(value: unknown): Uint8Array {
  if (!(value instanceof Uint8Array)) throw unexpectedAnswer(value)
  return new Uint8Array(value.buffer, value.byteOffset, value.byteLength)
}
