/** What is special about Redis; everything that all stores promise is in the conformance suite. */
import { randomUUID } from 'node:crypto'
import type { Writable } from 'node:stream'
import { inspect } from 'node:util'
import { Redis } from 'ioredis'
import { describe, expect, onTestFinished, test, vi } from 'vitest'
import type { AcquireRequest, IdempotencyStore } from '../../src/idempotency/store.ts'
import { systemClock } from '../../src/primitives/clock.ts'
import {
  senderOf,
  type NodeRedisClient,
  type NodeRedisCluster,
  type SendCommand,
} from '../../src/stores/redis/client.ts'
import { redisStore } from '../../src/stores/redis/index.ts'
import { connectIoRedis, connectNodeRedis, deleteAll } from '../support/redis.ts'
import { expiryOf } from '../support/redis-record.ts'
import { redisUrl } from '../support/redis-server.ts'
import { testServersAreThere } from '../support/left-out.ts'
import { urlOf } from '../support/servers.ts'

const url = await urlOf(redisUrl)
testServersAreThere()

const ask = (overrides: Partial<AcquireRequest> = {}): AcquireRequest => ({
  scope: 'client',
  key: 'key',
  fingerprint: 'f',
  owner: randomUUID(),
  leaseMs: 60_000,
  ttlMs: 120_000,
  abandoned: 'block',
  maxKeysPerScope: 10,
  ...overrides,
})

interface Bench {
  readonly store: IdempotencyStore
  readonly send: SendCommand
  readonly prefix: string
  /** The commands so far. */
  readonly sent: string[]
  /** The arguments of the last one. */
  readonly args: (string | number | Buffer)[]
}

async function bench(connect = connectIoRedis): Promise<Bench> {
  const { client, quit } = await connect(url ?? '')
  const prefix = `holdfast-test:${randomUUID()}:`
  const plain = senderOf(client)
  const sent: string[] = []
  const last: (string | number | Buffer)[] = []
  const counting = {
    callBuffer: (command: string, ...args: (string | number | Buffer)[]) => {
      sent.push(command)
      last.splice(0, Infinity, ...args)
      return plain(String(args[2]), [
        command,
        ...args.map((arg) => (typeof arg === 'number' ? String(arg) : arg)),
      ])
    },
  }
  onTestFinished(async () => {
    await deleteAll(plain, prefix)
    await quit()
  })
  return { store: redisStore({ client: counting, prefix }), send: plain, prefix, sent, args: last }
}

const text = (value: unknown): string => Buffer.from(value as Uint8Array).toString()

describe.skipIf(url === undefined)('redisStore', () => {
  test('an execution costs two round trips, a replay one', async () => {
    const { store, sent } = await bench()
    await store.acquire(ask({ key: 'warm' })) // the scripts are sent once to a server
    await store.complete(ask({ key: 'warm' }), new Uint8Array())
    sent.length = 0
    const request = ask()
    await store.acquire(request)
    await store.complete(request, new Uint8Array([1]))
    expect(sent).toEqual(['EVALSHA', 'EVALSHA'])
    await store.acquire(ask())
    expect(sent).toHaveLength(3)
  })

  test('what is asked in one go leaves in one write of ioredis', async () => {
    const { client, quit } = await connectIoRedis(url ?? '')
    onTestFinished(async () => void (await quit()))
    const send = senderOf(client)
    await send('', ['PING'])
    const stream = Reflect.get(client, 'stream') as Writable
    let writes = 0
    for (const name of ['_write', '_writev'] as const) {
      const original = Reflect.get(stream, name) as (...args: unknown[]) => void
      Reflect.set(stream, name, (...args: unknown[]) => {
        writes++
        Reflect.apply(original, stream, args)
      })
    }
    const answers = await Promise.all(['1', '2', '3'].map((word) => send('', ['ECHO', word])))
    expect(answers.map(text)).toEqual(['1', '2', '3'])
    expect(writes).toBe(1)
    await send('', ['PING'])
    expect(writes).toBe(2)
  })

  test('node-redis makes no timer for what leaves at once', async () => {
    const { client, quit } = await connectNodeRedis(url ?? '')
    const prefix = `holdfast-test:${randomUUID()}:`
    const timers = vi.spyOn(AbortSignal, 'timeout')
    onTestFinished(async () => {
      timers.mockRestore()
      await deleteAll(senderOf(client), prefix)
      await quit()
    })
    const store = redisStore({ client, prefix })
    const requests = ['1', '2', '3'].map((key) => ask({ key }))
    await Promise.all(requests.map((request) => store.acquire(request)))
    await store.complete(ask(), new Uint8Array([1]))
    expect(timers).not.toHaveBeenCalled()
  })

  test('node-redis has its own limit of time for what it holds back, and when the server answers nothing', async () => {
    const limited: boolean[] = []
    const answers: ((answer: string) => void)[] = []
    const client: NodeRedisClient & { isReady: boolean } = {
      isReady: false,
      sendCommand(_, options = {}) {
        limited.push(!('timeout' in options))
        return new Promise((resolve) => answers.push(resolve))
      },
    }
    const send = senderOf(client)
    const asked = [send('', ['PING'])]
    client.isReady = true
    for (let sent = 1; sent < 1001; sent++) asked.push(send('', ['PING']))
    expect(limited.map((each, index) => (each ? index : '')).filter(String)).toEqual([0, 1000])
    for (const answer of answers) answer('PONG')
    await Promise.all(asked)
    const now = vi.spyOn(systemClock, 'now').mockReturnValue(0)
    onTestFinished(() => now.mockRestore())
    void send('', ['PING'])
    now.mockReturnValue(499)
    void send('', ['PING'])
    now.mockReturnValue(500)
    void send('', ['PING'])
    expect(limited.slice(-3)).toEqual([false, false, true])
  })

  test.each<[string, typeof connectIoRedis]>([
    ['ioredis', connectIoRedis],
    ['node-redis', connectNodeRedis],
  ])(
    'a short text is sent as text, a long one as bytes, and both come back as they were: %s',
    async (_, connect) => {
      const { store, args } = await bench(connect)
      for (const [length, kind] of [
        [4096, 'string'],
        [4097, 'object'],
      ] as const) {
        const request = ask({ key: String(length) })
        await store.acquire(request)
        const response = Buffer.alloc(length, 'text')
        expect(await store.complete(request, response)).toBe('completed')
        expect(typeof args.at(-1)).toBe(kind)
        expect(Buffer.from((await store.read(request)) ?? [])).toEqual(response)
      }
    },
  )

  test.each([
    ['gives numbers as texts', { stringNumbers: true }],
    ['makes pipelines by itself', { enableAutoPipelining: true }],
  ])('a client that %s is understood', async (_, options) => {
    const client = new Redis(url ?? '', options)
    const prefix = `holdfast-test:${randomUUID()}:`
    onTestFinished(async () => {
      await deleteAll(senderOf(client), prefix)
      await client.quit()
    })
    const store = redisStore({ client, prefix })
    const request = ask()
    expect(await store.acquire(request)).toEqual({ type: 'acquired', fence: 1 })
    expect(await store.acquire(ask())).toEqual({ type: 'busy', retryAfterMs: expect.any(Number) })
    expect(await store.heartbeat(request)).toBe('extended')
    expect(await store.release(ask())).toBe('stale')
    expect(await store.complete(request, new Uint8Array([1]))).toBe('completed')
  })

  test('a server that has forgotten the scripts is sent them again', async () => {
    const { store, send, sent } = await bench()
    await store.acquire(ask({ key: 'before' }))
    await send('', ['SCRIPT', 'FLUSH'])
    sent.length = 0
    expect(await store.acquire(ask())).toEqual({ type: 'acquired', fence: 1 })
    expect(sent).toEqual(['EVALSHA', 'EVAL'])
  })

  test.each([
    ['ioredis', connectIoRedis],
    ['node-redis', connectNodeRedis],
  ])('time is the server’s, and what has expired goes by itself: %s', async (_, connect) => {
    const { client, quit } = await connect(url ?? '')
    const prefix = `holdfast-test:${randomUUID()}:`
    const send = senderOf(client)
    onTestFinished(async () => {
      await deleteAll(send, prefix)
      await quit()
    })
    const store = redisStore({ client, prefix })
    await store.acquire(ask({ leaseMs: 1000, ttlMs: 5000 }))
    const [seconds] = (await send('', ['TIME'])) as Buffer[]
    const record = `${prefix}{sclient}:key:key`
    const expiry = expiryOf((await send(record, ['HGET', record, 'm'])) as Buffer)
    expect(Math.abs(expiry - (Number(text(seconds)) * 1000 + 5000))).toBeLessThan(2500)
    for (const key of [record, `${prefix}{sclient}:keys`]) {
      const leftMs = Number(await send(key, ['PTTL', key]))
      expect(leftMs).toBeGreaterThan(55_000)
      expect(leftMs).toBeLessThanOrEqual(65_000)
    }
  })

  test('all keys of a scope are in one hash slot, whatever its name', async () => {
    const { store, send, prefix } = await bench()
    const scope = '}{:*?[a]\\ é\u{1F600}%'
    expect(await store.acquire(ask({ scope, key: '{x}' }))).toEqual({ type: 'acquired', fence: 1 })
    const keys = ((await send('', ['KEYS', `${prefix}*`])) as Buffer[]).map(text)
    expect(keys).toHaveLength(2)
    const tags = keys.map((key) => /\{([^}]*)\}/.exec(key)?.[1])
    expect(tags[0]).toBe(tags[1])
    expect(tags[0]).toMatch(/^s[!-z]+$/)
  })

  test('a cluster is asked by the key', async () => {
    const asked: unknown[][] = []
    const cluster: NodeRedisCluster = {
      masters: [],
      sendCommand: async (...call) => {
        asked.push(call)
        return 1
      },
    }
    await redisStore({ client: cluster, prefix: 'p:' }).acquire(ask())
    expect(asked[0]?.slice(0, 2)).toEqual(['p:{sclient}:key:key', false])
    expect(asked[0]?.[2]).toEqual(
      expect.arrayContaining(['EVALSHA', 'p:{sclient}:key:key', 'p:{sclient}:keys']),
    )
  })

  test('an error says nothing of what was to be stored', async () => {
    const { client, quit } = await connectIoRedis(url ?? '')
    const prefix = `holdfast-test:${randomUUID()}:`
    onTestFinished(async () => {
      await deleteAll(senderOf(client), prefix)
      await quit()
    })
    const store = redisStore({ client, prefix })
    const request = ask({ scope: 'secret scope' })
    const record = `${prefix}{ssecret%20.scope}:key:key`
    await senderOf(client)(record, ['SET', record, 'x'])
    const error = await store.complete(request, Buffer.from('secret body')).catch((reason: unknown) => reason)
    expect(error).toBeInstanceOf(Error)
    const text = inspect(error, { depth: Infinity, showHidden: true })
    expect(text).toContain('WRONGTYPE')
    expect(text).not.toMatch(/secret|115, 101, 99|73 65 63/)
  })

  test('a server that is gone is an error, and nothing is left unhandled', async () => {
    const { client, quit } = await connectIoRedis(url ?? '')
    const store = redisStore({ client })
    await quit()
    await expect(store.acquire(ask())).rejects.toThrow('Connection is closed')
  })

  test.each<[object, string]>([
    [
      {},
      'redisStore: client should be a client of ioredis (with callBuffer) or of node-redis (with sendCommand), got undefined',
    ],
    [{ client: { get() {} } }, 'got an object with get'],
    [
      { client: { callBuffer() {} }, prefix: '{a}' },
      'redisStore: prefix should be a text without braces, got "{a}"',
    ],
    [{ client: { callBuffer() {} }, ttl: 1 }, 'redisStore has no option "ttl"'],
  ])('refuses %j', (options, message) => {
    expect(() => redisStore(options as never)).toThrow(message)
  })
})
