import { Writable } from 'node:stream'
import { systemClock } from '../../primitives/clock.ts'
import { invalidOption } from '../../primitives/validate.ts'

/**
 * The two clients of the field, in their forms, by what this store needs of them: one command, sent as it is, answered in bytes. A
 * command goes to the node of its first key, in a cluster too.
 */

/** ioredis, single or cluster. */
export interface IoRedisClient {
  callBuffer(command: string, ...args: (string | Buffer | number)[]): Promise<unknown>
  /** The connection of a single client, while it has one. */
  readonly stream?: unknown
  readonly options?: { readonly enableAutoPipelining?: boolean | undefined }
  /** A command by its name, which goes out by itself. */
  createBuiltinCommand?(command: string): { readonly buffer: unknown }
}

/** node-redis (`redis` 4 and later). */
export interface NodeRedisClient {
  /** Whether it has a connection on which what it is given leaves at once. */
  readonly isReady?: boolean
  sendCommand(args: readonly (string | Buffer)[], options?: object): Promise<unknown>
}

/** node-redis in a cluster. */
export interface NodeRedisCluster {
  readonly masters: readonly unknown[]
  sendCommand(
    firstKey: string | undefined,
    isReadonly: boolean | undefined,
    args: readonly (string | Buffer)[],
    options?: object,
  ): Promise<unknown>
}

/** node-redis behind Sentinel (`createSentinel`, `redis` 5 and later). */
export interface NodeRedisSentinel {
  /** What no other client of node-redis has. */
  use(...work: never[]): Promise<unknown>
  sendCommand(
    isReadonly: boolean | undefined,
    args: readonly (string | Buffer)[],
    options?: object,
  ): Promise<unknown>
}

export type RedisClient = IoRedisClient | NodeRedisClient | NodeRedisCluster | NodeRedisSentinel

/** Sends a command whose first key is `key`; the answer's texts are bytes. */
export type SendCommand = (key: string, args: readonly (string | Buffer)[]) => Promise<unknown>

/** How node-redis is asked for bytes: by the type of the answer since version 5, by a flag before. */
const AS_BYTES = { typeMapping: { 36: Buffer }, returnBuffers: true }

/** @throws {HoldfastError} ERR_INVALID_OPTION, saying which interface is missing */
export function senderOf(client: RedisClient): SendCommand {
  const methods: Partial<Record<'callBuffer' | 'sendCommand' | 'masters' | 'use', unknown>> = Object(client)
  if (typeof methods.callBuffer === 'function') return ioRedisSender(client as IoRedisClient)
  if (typeof methods.sendCommand !== 'function') {
    const expected = 'a client of ioredis (with callBuffer) or of node-redis (with sendCommand)'
    throw invalidOption('redisStore: client', expected, client)
  }
  if (methods.masters !== undefined) {
    return (key, args) => (client as NodeRedisCluster).sendCommand(key, false, args, AS_BYTES)
  }
  // Never a replica: what it has not heard of yet would run again.
  if (typeof methods.use === 'function') {
    return (_, args) => (client as NodeRedisSentinel).sendCommand(false, args, AS_BYTES)
  }
  return nodeRedisSender(client as NodeRedisClient)
}

/** How many commands may be unanswered, and for how long none may have been answered, before the next ones are limited. */
const MAX_UNLIMITED = 1000
const MAX_SILENT_MS = 500

/**
 * node-redis 6 gives each command a timer, by default of 5 s, for how long it may be held back before it is sent: 20 of
 * 45 us an execution. What leaves at once needs none. It has one while there is no connection, and where the server may
 * hang: since what is held back then must not grow, nor be sent long after nobody waits for it any more.
 */
function nodeRedisSender(client: NodeRedisClient): SendCommand {
  const unlimited = { ...AS_BYTES, timeout: undefined }
  let unanswered = 0
  let heardMs = 0
  return async (_, args) => {
    const nowMs = systemClock.now()
    if (unanswered === 0) heardMs = nowMs
    const leaves = client.isReady === true && unanswered < MAX_UNLIMITED && nowMs - heardMs < MAX_SILENT_MS
    unanswered++
    try {
      return await client.sendCommand(args, leaves ? unlimited : AS_BYTES)
    } finally {
      unanswered--
      heardMs = systemClock.now()
    }
  }
}

const ioRedisSender =
  (client: IoRedisClient): SendCommand =>
  (_, [command = '', ...args]) => {
    writeTogether(client.stream)
    return called(client, String(command), args).catch((error: unknown) => {
      // ioredis hangs the whole command on its errors: keys, scopes, and the response that was to be stored.
      if (typeof error === 'object' && error !== null) Reflect.deleteProperty(error, 'command')
      throw error
    })
  }

/** In the pipelines that it makes by itself ioredis (6.0) forgets the name of a command that is called by its name. */
function called(
  client: IoRedisClient,
  command: string,
  args: readonly (string | Buffer)[],
): Promise<unknown> {
  const own = client.options?.enableAutoPipelining === true && client.createBuiltinCommand?.(command).buffer
  if (typeof own !== 'function') return client.callBuffer(command, ...args)
  return Reflect.apply(own, client, [...args]) as Promise<unknown>
}

const corked = new WeakSet<Writable>()

/**
 * What is asked in one go leaves in one write: ioredis makes one of each command (saves 6 of 23 us of system time a
 * request). node-redis does the same by itself.
 */
function writeTogether(stream: unknown): void {
  if (!(stream instanceof Writable) || corked.has(stream)) return
  corked.add(stream)
  stream.cork()
  process.nextTick(() => {
    corked.delete(stream)
    stream.uncork()
  })
}
