/** How the Redis store keeps its records, and what it makes of others. */
import { randomUUID } from 'node:crypto'
import { describe, expect, onTestFinished, test } from 'vitest'
import type { AcquireRequest, IdempotencyStore } from '../../src/idempotency/store.ts'
import { senderOf, type SendCommand } from '../../src/stores/redis/client.ts'
import { RedisStore } from '../../src/stores/redis/redis-store.ts'
import { connectIoRedis, deleteAll } from '../support/redis.ts'
import { expiryOf, seizedBy, stateOf } from '../support/redis-record.ts'
import { redisUrl } from '../support/redis-server.ts'
import { testServersAreThere } from '../support/left-out.ts'
import { urlOf } from '../support/servers.ts'

const url = await urlOf(redisUrl)
testServersAreThere()

const LEASE_MS = 1000
const TTL_MS = 5000

const ask = (overrides: Partial<AcquireRequest> = {}): AcquireRequest => ({
  scope: 'client',
  key: 'key',
  fingerprint: 'f',
  owner: randomUUID(),
  leaseMs: LEASE_MS,
  ttlMs: TTL_MS,
  abandoned: 'block',
  maxKeysPerScope: 1000,
  ...overrides,
})

interface Bench {
  readonly store: IdempotencyStore
  readonly time: { nowMs: number }
  readonly record: string
  readonly index: string
  /** Sends a command about one of the two. */
  readonly redis: (command: string, key: string, ...args: (string | Buffer)[]) => Promise<unknown>
}

async function bench(change: (send: SendCommand) => SendCommand = (send) => send): Promise<Bench> {
  const { client, quit } = await connectIoRedis(url ?? '')
  const prefix = `holdfast-test:${randomUUID()}:`
  const send = senderOf(client)
  onTestFinished(async () => {
    await deleteAll(send, prefix)
    await quit()
  })
  const time = { nowMs: Date.now() }
  return {
    store: new RedisStore({ send: change(send), prefix, nowMs: () => time.nowMs }),
    time,
    record: `${prefix}{sclient}:key:key`,
    index: `${prefix}{sclient}:keys`,
    redis: (command, key, ...args) => send(key, [command, key, ...args]),
  }
}

const packedIn = async ({ redis, record }: Bench): Promise<Buffer> =>
  (await redis('HGET', record, 'm')) as Buffer

const operations: [string, (store: IdempotencyStore) => Promise<unknown>][] = [
  ['acquire', (store) => store.acquire(ask())],
  ['heartbeat', (store) => store.heartbeat(ask())],
  ['complete', (store) => store.complete(ask(), new Uint8Array([1]))],
  ['release', (store) => store.release(ask())],
  ['read', (store) => store.read(ask())],
]

describe.skipIf(url === undefined)('a record in Redis', () => {
  test('tells its state, its owner and when it expires', async () => {
    const found = await bench()
    const { store, time, record, redis } = found
    const first = ask()
    await store.acquire(first)
    expect(stateOf(await packedIn(found))).toBe('active')
    expect(expiryOf(await packedIn(found))).toBe(time.nowMs + TTL_MS)
    await store.release(first)
    expect(stateOf(await packedIn(found))).toBe('released')
    await redis('HSET', record, 'm', seizedBy(await packedIn(found), 'another owner'))
    const second = ask({ owner: 'another owner' })
    expect(await store.complete(first, new Uint8Array([1]))).toBe('stale')
    expect(await store.complete(second, new Uint8Array([1]))).toBe('completed')
    expect(stateOf(await packedIn(found))).toBe('done')
  })

  describe.each(operations)('%s', (_, operate) => {
    test('refuses what is no hash', async () => {
      const { store, record, redis } = await bench()
      await redis('SET', record, 'somebody else’s')
      await expect(operate(store)).rejects.toThrow('WRONGTYPE')
    })

    test.each([
      ['another layout', Buffer.from('hf2:...'), 'HOLDFAST foreign record: not of layout hf1'],
      ['no layout at all', Buffer.from(''), 'HOLDFAST foreign record: not of layout hf1'],
      ['a record that was cut off', Buffer.from('hf1:a...'), 'data string too short'],
    ])('refuses %s', async (_name, packed, message) => {
      const found = await bench()
      await found.redis('HSET', found.record, 'm', packed)
      await expect(operate(found.store)).rejects.toThrow(message)
      expect(await packedIn(found)).toEqual(packed)
    })

    test('says what a server lacks', async () => {
      const { store } = await bench((send) => (key, [command, source, ...rest]) => {
        if (command === 'EVALSHA') return Promise.reject(new Error('NOSCRIPT'))
        return send(key, ['EVAL', `local struct\n${String(source)}`, ...rest])
      })
      await expect(operate(store)).rejects.toThrow(
        'HOLDFAST no struct: Lua of this server lacks that library',
      )
    })
  })

  test('is not put into a hash of somebody else', async () => {
    const { store, record, redis } = await bench()
    await redis('HSET', record, 's', 'a', 'f', 'f')
    await expect(store.acquire(ask())).rejects.toThrow('foreign record')
    expect(await redis('HLEN', record)).toBe(2)
    expect(await redis('PTTL', record)).toBe(-1)
  })

  test('keeps nothing of an expired one before it', async () => {
    const { store, time, record, redis } = await bench()
    const first = ask()
    await store.acquire(first)
    await store.complete(first, new Uint8Array([1]))
    time.nowMs += TTL_MS
    expect(await store.acquire(ask({ fingerprint: 'g' }))).toEqual({ type: 'acquired', fence: 1 })
    expect(await redis('HEXISTS', record, 'b')).toBe(0)
  })

  test.each<[string, number, (store: IdempotencyStore, request: AcquireRequest) => Promise<unknown>]>([
    ['a heartbeat', 2 * LEASE_MS, (store, request) => store.heartbeat(request)],
    ['completion', LEASE_MS, (store, request) => store.complete(request, new Uint8Array())],
  ])(
    'has its expiry written by %s where its window ends later for that, and only there',
    async (_, most, operate) => {
      const { store, time, record, index, redis } = await bench()
      const [early, late] = [ask({ key: 'early' }), ask()]
      for (const request of [early, late]) await store.acquire(request)
      await redis('ZADD', index, '1', 'early')
      await operate(store, early)
      expect(Number(await redis('ZSCORE', index, 'early'))).toBe(1)
      time.nowMs += TTL_MS - 1
      await redis('PERSIST', record)
      await operate(store, late)
      expect(Number(await redis('ZSCORE', index, 'key'))).toBe(time.nowMs + most)
      const leftMs = Number(await redis('PTTL', record))
      expect(leftMs).toBeGreaterThan(most + 30_000)
      expect(leftMs).toBeLessThanOrEqual(most + 60_000)
    },
  )
})

describe.skipIf(url === undefined)('the keys of a scope', () => {
  test('are in its set by their names alone, whatever they are made of', async () => {
    const { store, time, index, redis } = await bench()
    const keys = ['a', 'a:key:b', '{x}', 'é\u{1F600}']
    for (const key of keys) await store.acquire(ask({ key }))
    const members = (await redis('ZRANGE', index, '0', '-1')) as Buffer[]
    expect(new Set(members.map(String))).toEqual(new Set(keys))
    expect(Number(await redis('ZSCORE', index, 'a'))).toBe(time.nowMs + TTL_MS)
  })

  test('are rid of the expired ones with one new key in 64', async () => {
    const { store, time, index, redis } = await bench()
    for (let key = 0; key < 63; key++) await store.acquire(ask({ key: String(key) }))
    time.nowMs += TTL_MS
    await store.acquire(ask({ key: 'the 64th' }))
    expect(await redis('ZCARD', index)).toBe(64)
    await store.acquire(ask({ key: 'the 65th' }))
    expect(((await redis('ZRANGE', index, '0', '-1')) as Buffer[]).map(String)).toEqual([
      'the 64th',
      'the 65th',
    ])
  })

  test('are kept as long as the last of them, and their expiry is not written with each', async () => {
    const { store, index, redis } = await bench()
    await store.acquire(ask({ key: 'first' }))
    expect(Number(await redis('PTTL', index))).toBeGreaterThan(60_000)
    await redis('PEXPIRE', index, String(TTL_MS + 30_000))
    await store.acquire(ask({ key: 'second' }))
    expect(Number(await redis('PTTL', index))).toBeLessThanOrEqual(TTL_MS + 30_000)
    await redis('PEXPIRE', index, String(TTL_MS - 1))
    await store.acquire(ask({ key: 'third' }))
    expect(Number(await redis('PTTL', index))).toBeGreaterThan(60_000)
  })
})
