/** What a near cache answers, and that it is never what its store would not. */
import { randomUUID } from 'node:crypto'
import { Redis } from 'ioredis'
import { describe, expect, onTestFinished, test } from 'vitest'
import {
  idempotency,
  type AcquireRequest,
  type IdempotencyStore,
  type Lease,
} from '../../src/idempotency/index.ts'
import { memoryStore } from '../../src/stores/memory.ts'
import {
  NEAR_CACHE_DEFAULTS,
  nearCache,
  type NearCache,
  type NearCacheOptions,
} from '../../src/stores/near-cache.ts'
import { senderOf } from '../../src/stores/redis/client.ts'
import { redisStore } from '../../src/stores/redis/index.ts'
import { virtualClock } from '../../src/testing/virtual-clock.ts'
import { expectNoUnhandledRejections } from '../client/support/unhandled.ts'
import { Gate } from '../support/gate.ts'
import { testServersAreThere } from '../support/left-out.ts'
import { deferred } from '../support/operations.ts'
import { connectIoRedis, deleteAll } from '../support/redis.ts'
import { redisUrl } from '../support/redis-server.ts'
import { urlOf } from '../support/servers.ts'

expectNoUnhandledRejections()

const TTL_MS = 1000
let owners = 0

const ask = (overrides: Partial<AcquireRequest> = {}): AcquireRequest => ({
  scope: 's',
  key: 'k',
  fingerprint: 'f',
  owner: `owner ${++owners}`,
  leaseMs: 100,
  ttlMs: TTL_MS,
  abandoned: 'block',
  maxKeysPerScope: 1000,
  ...overrides,
})

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text)

/** A store in memory that counts what it is asked, behind a near cache; and another process, which shares it. */
function bench(options: NearCacheOptions = {}) {
  const clock = virtualClock()
  const shared = memoryStore({ clock })
  const asked: string[] = []
  const counted: IdempotencyStore = {
    name: 'counted',
    acquire: (request) => (asked.push('acquire'), shared.acquire(request)),
    heartbeat: (lease) => (asked.push('heartbeat'), shared.heartbeat(lease)),
    complete: (lease, response) => (asked.push('complete'), shared.complete(lease, response)),
    release: (lease) => (asked.push('release'), shared.release(lease)),
    read: (lease) => (asked.push('read'), shared.read(lease)),
  }
  return { clock, shared, counted, asked, near: nearCache(counted, { clock, ...options }) }
}

/** Takes a key and completes it. */
async function complete(store: IdempotencyStore, request = ask(), response = 'response'): Promise<Lease> {
  expect(await store.acquire(request)).toMatchObject({ type: 'acquired' })
  expect(await store.complete(request, bytes(response))).toBe('completed')
  return request
}

describe('what this process has completed', () => {
  test('is answered without asking the store: the response, and that a key was used for something else', async () => {
    const { near, asked } = bench()
    await complete(near)
    asked.length = 0
    expect(await near.acquire(ask())).toEqual({ type: 'done', response: bytes('response') })
    expect(await near.read(ask())).toEqual(bytes('response'))
    expect(await near.acquire(ask({ fingerprint: 'g' }))).toEqual({ type: 'mismatch' })
    expect(await near.read(ask({ fingerprint: 'g' }))).toBeUndefined()
    expect(asked).toEqual([])
  })

  test('is no other key’s, whatever the two are made of', async () => {
    const { near } = bench()
    await complete(near, ask({ scope: 'a', key: 'bc' }))
    for (const [scope, key] of [
      ['ab', 'c'],
      ['', 'abc'],
      ['1:a', 'bc'],
      ['a', 'b'],
    ] as const)
      expect(await near.acquire(ask({ scope, key }))).toMatchObject({ type: 'acquired' })
  })

  test('is a copy: who changes what was given, or what he got, changes no answer', async () => {
    const { near } = bench()
    const request = ask()
    const given = bytes('response')
    await near.acquire(request)
    const completing = near.complete(request, given)
    given.fill(0)
    await completing
    const got = await near.acquire(ask())
    if (got.type === 'done') got.response.fill(0)
    ;(await near.read(ask()))?.fill(0)
    expect(await near.read(ask())).toEqual(bytes('response'))
  })
})

describe('a record is forgotten no later than its store may', () => {
  const isKept = async ({ near, asked }: ReturnType<typeof bench>): Promise<boolean> => {
    asked.length = 0
    await near.read(ask())
    return asked.length === 0
  }

  test('at the end of its window', async () => {
    const all = bench()
    await complete(all.near)
    await all.clock.advance(TTL_MS - 1)
    expect(await isKept(all)).toBe(true)
    await all.clock.advance(1)
    expect(await isKept(all)).toBe(false)
    expect(await all.near.acquire(ask())).toMatchObject({ type: 'acquired' })
  })

  test('which begins as the key is asked for, however late the answer comes', async () => {
    const all = bench()
    const answered = deferred()
    all.counted.acquire = async (request) => {
      const result = await all.shared.acquire(request)
      await answered.promise
      return result
    }
    const request = ask({ leaseMs: 10_000 })
    const acquiring = all.near.acquire(request)
    await all.clock.advance(400)
    answered.resolve()
    await acquiring
    await all.near.complete(request, bytes('response'))
    await all.clock.advance(TTL_MS - 401)
    expect(await isKept(all)).toBe(true)
    await all.clock.advance(1)
    expect(await isKept(all)).toBe(false)
  })

  test('or as it was asked for the first time, where an answer got lost', async () => {
    const all = bench()
    const request = ask({ leaseMs: 10_000 })
    const { counted, shared } = all
    counted.acquire = async (asked) => {
      await shared.acquire(asked)
      throw new Error('lost')
    }
    await expect(all.near.acquire(request)).rejects.toThrow('lost')
    counted.acquire = (asked) => shared.acquire(asked)
    await all.clock.advance(400)
    await complete(all.near, request)
    await all.clock.advance(TTL_MS - 400)
    expect(await isKept(all)).toBe(false)
  })

  test.each(['now', 'wallNow'] as const)('by whichever clock has moved more: %s', async (moving) => {
    const times = { now: 0, wallNow: 1_000_000 }
    const clock = { ...virtualClock(), now: () => times.now, wallNow: () => times.wallNow }
    const all = bench({ clock })
    await complete(all.near)
    times[moving] += TTL_MS
    expect(await isKept(all)).toBe(false)
  })

  test('and takes no newer one’s place, however late its store has answered', async () => {
    const { near, shared, counted, clock, asked } = bench()
    const answered = deferred()
    counted.complete = async (lease, response) => {
      const result = await shared.complete(lease, response)
      if (lease === first) await answered.promise
      return result
    }
    const first = ask()
    await near.acquire(first)
    const completing = near.complete(first, bytes('first'))
    await clock.advance(TTL_MS)
    await complete(near, ask(), 'second')
    answered.resolve()
    expect(await completing).toBe('completed')
    asked.length = 0
    expect(await near.acquire(ask())).toEqual({ type: 'done', response: bytes('second') })
    expect(asked).toEqual([])
  })

  test('and not taken in where it completes after that', async () => {
    const all = bench()
    const request = ask({ leaseMs: 5000 })
    await all.near.acquire(request)
    await all.clock.advance(TTL_MS)
    expect(await all.near.complete(request, bytes('response'))).toBe('completed')
    expect(await isKept(all)).toBe(false)
  })
})

describe('what is not known to be on record is asked of the store:', () => {
  test('what another process has completed, whose age nobody here knows', async () => {
    const { near, shared, asked } = bench()
    await complete(shared)
    for (const _ of [1, 2]) expect(await near.acquire(ask())).toMatchObject({ type: 'done' })
    expect(asked).toEqual(['acquire', 'acquire'])
  })

  test('the response of an owner that had lost its key', async () => {
    const { near, shared, clock } = bench()
    const slow = ask()
    await near.acquire(slow)
    await clock.advance(101)
    await complete(shared, ask({ abandoned: 'takeover' }), 'by another one')
    expect(await near.complete(slow, bytes('too late'))).toBe('stale')
    expect(await near.acquire(ask())).toEqual({ type: 'done', response: bytes('by another one') })
  })

  test('a key that was given back', async () => {
    const { near } = bench()
    const request = ask()
    await near.acquire(request)
    expect(await near.release(request)).toBe('released')
    expect(await near.acquire(ask())).toMatchObject({ type: 'acquired', fence: 2 })
  })

  test('what was completed a second time, since the store may have kept the first', async () => {
    const { near, shared, counted, asked } = bench()
    const request = ask()
    await near.acquire(request)
    counted.complete = async (lease, response) => {
      await shared.complete(lease, response)
      throw new Error('lost')
    }
    await expect(near.complete(request, bytes('first'))).rejects.toThrow('lost')
    counted.complete = (lease, response) => shared.complete(lease, response)
    expect(await near.complete(request, bytes('second'))).toBe('completed')
    expect(await near.acquire(ask())).toEqual({ type: 'done', response: bytes('first') })
    expect(asked.at(-1)).toBe('acquire')
  })

  test('what completes a key whose transaction may have been committed', async () => {
    const { near, asked } = transactional('lost')
    const request = ask()
    await near.acquire(request)
    const transaction = await near.begin?.(request)
    if (transaction === undefined || transaction === 'stale') throw new Error('no transaction')
    await expect(transaction.complete(bytes('first'))).rejects.toThrow('lost')
    expect(await near.complete(request, bytes('second'))).toBe('completed')
    expect(await near.read(ask())).toEqual(bytes('first'))
    expect(asked.at(-1)).toBe('read')
  })
})

/** A store with transactions, as far as is needed here. */
function transactional(ending: 'completed' | 'lost', lost?: Promise<unknown>) {
  const { counted, clock, asked } = bench()
  const begin: NonNullable<IdempotencyStore['begin']> = async (lease) => ({
    client: 'the client',
    ...(lost !== undefined && { lost }),
    async complete(response) {
      if (lease !== undefined) await counted.complete(lease, response)
      if (ending === 'lost') throw new Error('lost')
      return 'completed'
    },
    commit: async () => void asked.push('commit'),
    rollback: async () => void asked.push('rollback'),
  })
  return { asked, near: nearCache({ ...counted, begin }, { clock }) }
}

describe('transactions', () => {
  const begun = async (near: NearCache, lease?: Lease) => {
    const transaction = await near.begin?.(lease)
    if (transaction === undefined || transaction === 'stale') throw new Error('no transaction')
    return transaction
  }

  test('there are where the store has them', () => {
    expect(typeof bench().near.begin).toBe('undefined')
    expect(typeof transactional('completed').near.begin).toBe('function')
  })

  test('a record that is completed in one is kept', async () => {
    const { near, asked } = transactional('completed')
    const request = ask()
    await near.acquire(request)
    const transaction = await begun(near, request)
    expect(transaction.client).toBe('the client')
    expect(await transaction.complete(bytes('response'))).toBe('completed')
    asked.length = 0
    expect(await near.acquire(ask())).toEqual({ type: 'done', response: bytes('response') })
    expect(asked).toEqual([])
  })

  test('all else of them is the store’s', async () => {
    const lost = Promise.resolve('the connection')
    const { near, asked } = transactional('completed', lost)
    await (await begun(near)).commit()
    expect((await begun(near, ask())).lost).toBe(lost)
    const request = ask()
    await near.acquire(request)
    await (await begun(near, request)).rollback()
    expect(asked).toEqual(['commit', 'acquire', 'rollback'])
  })
})

describe('its limits', () => {
  test('what was used longest ago goes first, and what is too large is not taken in', async () => {
    const { near, asked } = bench({ maxBytes: 2500 })
    for (const key of ['1', '2', '3']) await complete(near, ask({ key }), 'x'.repeat(400))
    await complete(near, ask({ key: 'large' }), 'x'.repeat(2001))
    const isKept = async (key: string): Promise<boolean> => {
      asked.length = 0
      await near.read(ask({ key }))
      return asked.length === 0
    }
    expect([await isKept('1'), await isKept('2'), await isKept('3')]).toEqual([false, true, true])
    expect(await isKept('large')).toBe(false)
  })

  test('a scope counts, as it may be a whole token', async () => {
    const { near, asked } = bench({ maxBytes: 10_000 })
    for (const key of ['1', '2', '3']) await complete(near, ask({ scope: 'x'.repeat(4000), key }))
    asked.length = 0
    for (const key of ['3', '2', '1']) await near.read(ask({ scope: 'x'.repeat(4000), key }))
    expect(asked).toEqual(['read'])
  })

  test('what was given back takes no room from what is under way', async () => {
    const { near, asked } = bench()
    const slow = ask({ leaseMs: 10_000 })
    await near.acquire(slow)
    for (let number = 0; number < 10_000; number++) {
      const request = ask({ key: String(number), maxKeysPerScope: 100_000 })
      await near.acquire(request)
      await near.release(request)
    }
    await near.complete(slow, bytes('response'))
    asked.length = 0
    expect(await near.acquire(ask())).toMatchObject({ type: 'done' })
    expect(asked).toEqual([])
  })

  test('by default it keeps 16 MiB', async () => {
    expect(NEAR_CACHE_DEFAULTS.maxBytes).toBe(2 ** 24)
    const { near, asked } = bench()
    for (const key of ['1', '2', '3']) await complete(near, ask({ key }), 'x'.repeat(7_000_000))
    asked.length = 0
    for (const key of ['3', '2', '1']) await near.read(ask({ key }))
    expect(asked).toEqual(['read'])
  })

  test.each([
    ['clear', async (near: NearCache) => near.clear()],
    ['close', async (near: NearCache) => near.close?.()],
  ])('after %s() all is asked of the store', async (_, forget) => {
    const { near, asked } = bench()
    await complete(near)
    await forget(near)
    asked.length = 0
    expect(await near.acquire(ask())).toMatchObject({ type: 'done' })
    expect(asked).toEqual(['acquire'])
  })

  test('nor is kept what was on record before a clear, and whose answer came after it', async () => {
    const { near, counted, shared, clock } = bench()
    const answered = deferred()
    counted.complete = async (lease, response) => {
      const result = await shared.complete(lease, response)
      await answered.promise
      return result
    }
    const request = ask()
    await near.acquire(request)
    const completing = near.complete(request, bytes('response'))
    const emptied = memoryStore({ clock })
    counted.acquire = (asked) => emptied.acquire(asked)
    near.clear()
    answered.resolve()
    expect(await completing).toBe('completed')
    expect(await near.acquire(ask())).toMatchObject({ type: 'acquired' })
  })

  test('it closes its store', async () => {
    const { counted } = bench()
    let closed = 0
    await nearCache({ ...counted, close: async () => void closed++ }).close?.()
    expect(closed).toBe(1)
  })

  test.each<[string, () => unknown, string]>([
    [
      'no store',
      () => nearCache(undefined as never),
      'nearCache: store should be a store, such as redisStore()',
    ],
    ['no store but a client', () => nearCache({ get() {} } as never), 'nearCache: store should be a store'],
    [
      'an option that nobody reads',
      () => nearCache(memoryStore(), { maxAge: 1 } as never),
      'nearCache has no option "maxAge"; it has maxBytes, clock',
    ],
    [
      'no bytes',
      () => nearCache(memoryStore(), { maxBytes: 0 }),
      'nearCache: maxBytes should be an integer >= 1, got 0',
    ],
  ])('%s is refused', (_, make, message) => {
    expect(make).toThrow(expect.objectContaining({ code: 'ERR_INVALID_OPTION' }))
    expect(make).toThrow(message)
  })
})

const redis = await urlOf(redisUrl)
testServersAreThere()

test.runIf(redis)(
  'while Redis is away, what was done here is replayed, and new keys are told so',
  async () => {
    const gate = await Gate.before(redis ?? '')
    const direct = await connectIoRedis(redis ?? '')
    const behind = new Redis(gate.through(redis ?? ''))
    const prefix = `holdfast-test:${randomUUID()}:`
    onTestFinished(async () => {
      await deleteAll(senderOf(direct.client), prefix)
      await direct.quit()
      behind.disconnect()
      await gate[Symbol.asyncDispose]()
    })
    let runs = 0
    const store = nearCache(redisStore({ client: behind, prefix }))
    const handler = idempotency({ store, storeTimeoutMs: 200, onEvent: () => {} })(
      () => new Response(`run ${++runs}`, { status: 201 }),
    )
    const send = (key: string, body = 'order'): Promise<Response> =>
      handler(
        new Request('https://api.example.com/', {
          method: 'POST',
          headers: { 'idempotency-key': key },
          body,
        }),
      )
    expect(await (await send('k')).text()).toBe('run 1')
    gate.state = 'silent'
    const replay = await send('k')
    expect(replay.headers.get('idempotent-replayed')).toBe('true')
    expect(await replay.text()).toBe('run 1')
    expect((await send('k', 'another order')).status).toBe(422)
    expect((await send('new')).status).toBe(503)
    expect(runs).toBe(1)
  },
)
