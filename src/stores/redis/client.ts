import { Writable } from 'node:stream'
import { systemClock } from '../../primitives/clock.ts'
import { invalidOption } from '../../primitives/validate.ts'

/**
 * What this store needs of the clients ioredis and node-redis: to send one command as it is, in a cluster to the node of
 * its first key, and to get the answer in bytes.
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

/** Sends a command whose first key is `key`; strings in the answer are Buffers. */
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
  // Never a replica: it may not know of a key yet, and the operation would run again.
  if (typeof methods.use === 'function') {
    return (_, args) => (client as NodeRedisSentinel).sendCommand(false, args, AS_BYTES)
  }
  return nodeRedisSender(client as NodeRedisClient)
}

/** With more commands unanswered, or none answered for longer, the server may hang: further commands get a timeout. */
const MAX_UNLIMITED = 1000
const MAX_SILENT_MS = 500

/**
 * node-redis 6 starts a timer for each command (5 s by default) that limits how long it may be queued before it is sent:
 * 20 of 45 us an execution. A command that is sent at once needs none. While there is no connection, or the server may
 * hang, commands keep their timer: the queue must not grow, nor be sent long after nobody waits for it any more.
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
      // ioredis puts the whole command on its errors: keys, scopes and responses, which must not reach a log.
      if (typeof error === 'object' && error !== null) Reflect.deleteProperty(error, 'command')
      throw error
    })
  }

/** With `enableAutoPipelining` ioredis (6.0) loses the command's name in `callBuffer`; a built-in command keeps it. */
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
 * Sends all commands of one tick in one write: ioredis makes a write of each command (saves 6 of 23 us of system time a
 * request). node-redis does so by itself.
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
