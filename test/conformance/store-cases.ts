import assert from 'node:assert/strict'
import type { AcquireRequest, IdempotencyStore } from '../../src/idempotency/store.ts'

/** A fresh, empty store and the means to let its time pass. */
export interface StoreUnderTest {
  readonly store: IdempotencyStore
  /** Lets `ms` pass on the store's own clock. */
  readonly advance: (ms: number) => Promise<void>
}

/** A case every store has to pass, for any test runner: it rejects when the store fails it. */
export interface StoreCase {
  readonly name: string
  readonly run: (subject: StoreUnderTest) => Promise<void>
}

const LEASE_MS = 100
const TTL_MS = 1000

let owners = 0

function ask(overrides: Partial<AcquireRequest> = {}): AcquireRequest {
  owners++
  return {
    scope: 'client',
    key: 'key',
    fingerprint: 'what was asked',
    owner: `owner-${owners}`,
    leaseMs: LEASE_MS,
    ttlMs: TTL_MS,
    abandoned: 'block',
    maxKeysPerScope: 1000,
    ...overrides,
  }
}

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text)

async function acquired(store: IdempotencyStore, request: AcquireRequest): Promise<number> {
  const result = await store.acquire(request)
  assert.equal(result.type, 'acquired', `expected the key, got ${result.type}`)
  return result.type === 'acquired' ? result.fence : 0
}

async function completed(store: IdempotencyStore, request: AcquireRequest, response = 'done'): Promise<void> {
  await acquired(store, request)
  assert.equal(await store.complete(request, bytes(response)), 'completed')
}

async function assertRecorded(store: IdempotencyStore, response: string, request = ask()): Promise<void> {
  const result = await store.acquire(request)
  assert.equal(result.type, 'done')
  if (result.type === 'done') assert.equal(new TextDecoder().decode(result.response), response)
}

const acquiring: readonly StoreCase[] = [
  {
    name: 'a new key is acquired, with the first fence',
    async run({ store }) {
      assert.equal(await acquired(store, ask()), 1)
    },
  },
  {
    name: 'a key in progress is busy for another owner, for as long as its lease',
    async run({ store, advance }) {
      await acquired(store, ask())
      await advance(LEASE_MS / 4)
      const result = await store.acquire(ask())
      assert.equal(result.type, 'busy')
      if (result.type !== 'busy') return
      assert.ok(
        result.retryAfterMs > 0 && result.retryAfterMs <= LEASE_MS * 0.75,
        String(result.retryAfterMs),
      )
    },
  },
  {
    name: 'the same owner acquires again and gets the same fence: an answer may have got lost',
    async run({ store }) {
      const request = ask()
      const fence = await acquired(store, request)
      assert.equal(await acquired(store, request), fence)
    },
  },
  {
    name: 'of fifty at once exactly one acquires, the others find it busy',
    async run({ store }) {
      const results = await Promise.all(Array.from({ length: 50 }, () => store.acquire(ask())))
      assert.equal(results.filter(({ type }) => type === 'acquired').length, 1)
      assert.equal(results.filter(({ type }) => type === 'busy').length, 49)
    },
  },
  {
    name: 'two scopes, and two keys, never meet, wherever a delimiter stands',
    async run({ store }) {
      for (const [scope, key] of [
        ['a:', 'b'],
        ['a', ':b'],
        ['a', 'b'],
        ['a:b', ':'],
        ['a\0', 'b'],
        ['a', '\0b'],
        ['A', 'b'],
      ]) {
        assert.equal(await acquired(store, ask({ scope: scope ?? '', key: key ?? '' })), 1, `${scope} ${key}`)
      }
    },
  },
  {
    name: 'keys differ in case and in every other character',
    async run({ store }) {
      for (const key of ['k', 'K', 'k ', 'k%', 'k_', "k'", 'k"', 'ключ']) {
        assert.equal(await acquired(store, ask({ key })), 1, key)
      }
    },
  },
]

const order: readonly StoreCase[] = [
  {
    name: 'another request under the same key is a mismatch while the first one runs, before busy',
    async run({ store }) {
      await acquired(store, ask())
      assert.deepEqual(await store.acquire(ask({ fingerprint: 'other' })), { type: 'mismatch' })
    },
  },
  {
    name: 'another request under the same key is a mismatch after completion, however often',
    async run({ store }) {
      await completed(store, ask())
      for (let time = 0; time < 3; time++) {
        assert.deepEqual(await store.acquire(ask({ fingerprint: 'other' })), { type: 'mismatch' })
      }
      await assertRecorded(store, 'done')
    },
  },
  {
    name: 'another request under an abandoned key is a mismatch, with takeover too',
    async run({ store, advance }) {
      await acquired(store, ask())
      await advance(LEASE_MS + 1)
      const other = ask({ fingerprint: 'other', abandoned: 'takeover' })
      assert.deepEqual(await store.acquire(other), { type: 'mismatch' })
    },
  },
  {
    name: 'an abandoned key stays blocked',
    async run({ store, advance }) {
      await acquired(store, ask())
      await advance(LEASE_MS + 1)
      assert.deepEqual(await store.acquire(ask()), { type: 'abandoned' })
      assert.deepEqual(await store.acquire(ask()), { type: 'abandoned' })
    },
  },
  {
    name: 'an abandoned key is taken over, with the next fence, by exactly one',
    async run({ store, advance }) {
      await acquired(store, ask())
      await advance(LEASE_MS + 1)
      const takers = Array.from({ length: 50 }, () => store.acquire(ask({ abandoned: 'takeover' })))
      const winners = (await Promise.all(takers)).filter(({ type }) => type === 'acquired')
      assert.deepEqual(winners, [{ type: 'acquired', fence: 2 }])
    },
  },
  {
    name: 'a live lease is not taken over',
    async run({ store }) {
      await acquired(store, ask())
      assert.equal((await store.acquire(ask({ abandoned: 'takeover' }))).type, 'busy')
    },
  },
]

const lifetime: readonly StoreCase[] = [
  {
    name: 'a recorded response comes back for the whole window, and not after it',
    async run({ store, advance }) {
      await completed(store, ask())
      await advance(TTL_MS - 1)
      await assertRecorded(store, 'done')
      await advance(1)
      await acquired(store, ask())
    },
  },
  {
    name: 'the window counts from acceptance, not from completion',
    async run({ store, advance }) {
      const request = ask({ leaseMs: TTL_MS / 4 })
      await acquired(store, request)
      await advance(TTL_MS / 4)
      await store.complete(request, bytes('done'))
      await advance((TTL_MS * 3) / 4)
      await acquired(store, ask())
    },
  },
  {
    name: 'a response that was long in the making is kept for the grace after its completion',
    async run({ store, advance }) {
      const request = ask({ leaseMs: TTL_MS })
      await acquired(store, request)
      await advance(TTL_MS - 1)
      await store.complete(request, bytes('late'))
      await advance(TTL_MS - 1)
      await assertRecorded(store, 'late')
      await advance(1)
      await acquired(store, ask())
    },
  },
  {
    name: 'a key in progress outlives its window as long as its owner keeps it alive',
    async run({ store, advance }) {
      const request = ask()
      await acquired(store, request)
      for (let passedMs = 0; passedMs < TTL_MS * 2; passedMs += LEASE_MS / 2) {
        await advance(LEASE_MS / 2)
        assert.equal(await store.heartbeat(request), 'extended')
      }
      assert.equal((await store.acquire(ask())).type, 'busy')
      assert.equal(await store.complete(request, bytes('done')), 'completed')
      await assertRecorded(store, 'done')
    },
  },
  {
    name: 'an expired key is acquired by exactly one of fifty',
    async run({ store, advance }) {
      await completed(store, ask())
      await advance(TTL_MS + 1)
      const results = await Promise.all(Array.from({ length: 50 }, () => store.acquire(ask())))
      assert.equal(results.filter(({ type }) => type === 'acquired').length, 1)
      assert.equal(results.filter(({ type }) => type === 'busy').length, 49)
    },
  },
  {
    name: 'an expired key takes another request',
    async run({ store, advance }) {
      await completed(store, ask())
      await advance(TTL_MS + 1)
      await acquired(store, ask({ fingerprint: 'other' }))
    },
  },
]

const owning: readonly StoreCase[] = [
  {
    name: 'a heartbeat extends the lease from now',
    async run({ store, advance }) {
      const request = ask()
      await acquired(store, request)
      await advance(LEASE_MS * 0.9)
      assert.equal(await store.heartbeat(request), 'extended')
      await advance(LEASE_MS * 0.9)
      assert.equal((await store.acquire(ask())).type, 'busy')
    },
  },
  {
    name: 'an owner whose lease ran out completes all the same, as long as nobody took over',
    async run({ store, advance }) {
      const request = ask()
      await acquired(store, request)
      await advance(LEASE_MS * 1.5)
      assert.equal(await store.heartbeat(request), 'extended')
      await advance(LEASE_MS * 1.5)
      assert.equal(await store.complete(request, bytes('slow')), 'completed')
      await assertRecorded(store, 'slow')
    },
  },
  {
    name: 'an owner completes twice, and the first response stays',
    async run({ store }) {
      const request = ask()
      await completed(store, request, 'first')
      assert.equal(await store.complete(request, bytes('second')), 'completed')
      await assertRecorded(store, 'first')
    },
  },
  {
    name: 'a stale owner can not extend, complete or release while its successor runs',
    async run({ store, advance }) {
      const first = ask()
      const second = ask({ abandoned: 'takeover' })
      await acquired(store, first)
      await advance(LEASE_MS + 1)
      await acquired(store, second)
      assert.equal(await store.heartbeat(first), 'lost')
      assert.equal(await store.complete(first, bytes('first')), 'stale')
      assert.equal(await store.release(first), 'stale')
      assert.equal((await store.acquire(ask())).type, 'busy')
      assert.equal(await store.complete(second, bytes('second')), 'completed')
      await assertRecorded(store, 'second')
    },
  },
  {
    name: 'a stale owner can not touch the response its successor recorded',
    async run({ store, advance }) {
      const first = ask()
      await acquired(store, first)
      await advance(LEASE_MS + 1)
      await completed(store, ask({ abandoned: 'takeover' }), 'second')
      assert.equal(await store.heartbeat(first), 'lost')
      assert.equal(await store.complete(first, bytes('first')), 'stale')
      assert.equal(await store.release(first), 'stale')
      await assertRecorded(store, 'second')
    },
  },
  {
    name: 'an owner whose key has expired can not touch the one who has it now',
    async run({ store, advance }) {
      const first = ask()
      const second = ask({ fingerprint: 'other' })
      await acquired(store, first)
      await advance(TTL_MS + LEASE_MS + 1)
      await acquired(store, second)
      assert.equal(await store.heartbeat(first), 'lost')
      assert.equal(await store.complete(first, bytes('first')), 'stale')
      assert.equal(await store.release(first), 'stale')
      assert.equal(await store.read(first), undefined)
    },
  },
  {
    name: 'who never acquired owns nothing',
    async run({ store }) {
      const stranger = ask()
      assert.equal(await store.heartbeat(stranger), 'lost')
      assert.equal(await store.complete(stranger, bytes('x')), 'stale')
      assert.equal(await store.release(stranger), 'stale')
      assert.equal(await store.read(stranger), undefined)
      await acquired(store, ask())
      assert.equal(await store.complete(stranger, bytes('x')), 'stale')
      assert.equal(await store.release(stranger), 'stale')
    },
  },
]

const releasing: readonly StoreCase[] = [
  {
    name: 'a released key is acquired again, with the next fence, for whatever is asked',
    async run({ store }) {
      const request = ask()
      await acquired(store, request)
      assert.equal(await store.release(request), 'released')
      assert.equal(await acquired(store, ask({ fingerprint: 'corrected' })), 2)
    },
  },
  {
    name: 'an owner releases twice',
    async run({ store }) {
      const request = ask()
      await acquired(store, request)
      assert.equal(await store.release(request), 'released')
      assert.equal(await store.release(request), 'released')
    },
  },
  {
    name: 'who has released can not complete or extend',
    async run({ store }) {
      const request = ask()
      await acquired(store, request)
      await store.release(request)
      assert.equal(await store.heartbeat(request), 'lost')
      assert.equal(await store.complete(request, bytes('x')), 'stale')
      assert.equal(await store.read(request), undefined)
    },
  },
  {
    name: 'who has completed can not release',
    async run({ store }) {
      const request = ask()
      await completed(store, request)
      assert.equal(await store.release(request), 'stale')
      await assertRecorded(store, 'done')
    },
  },
  {
    name: 'a released key is acquired by exactly one of fifty',
    async run({ store }) {
      const request = ask()
      await acquired(store, request)
      await store.release(request)
      const results = await Promise.all(Array.from({ length: 50 }, () => store.acquire(ask())))
      assert.equal(results.filter(({ type }) => type === 'acquired').length, 1)
    },
  },
]

const keeping: readonly StoreCase[] = [
  {
    name: 'every byte comes back as it was given, from none to a mebibyte',
    async run({ store }) {
      const all = Uint8Array.from({ length: 256 }, (_, byte) => byte)
      const large = Uint8Array.from({ length: 1_048_576 }, (_, index) => (index * 31) % 256)
      for (const [index, response] of [new Uint8Array(), all, large, bytes('0'), bytes('\0')].entries()) {
        const request = ask({ key: `bytes-${index}` })
        await acquired(store, request)
        assert.equal(await store.complete(request, response), 'completed')
        const result = await store.acquire(ask({ key: `bytes-${index}` }))
        assert.equal(result.type, 'done')
        if (result.type === 'done') assert.ok(Buffer.from(result.response).equals(response), `bytes-${index}`)
      }
    },
  },
  {
    name: 'reading gives what was recorded, only for the same request, and claims nothing',
    async run({ store }) {
      const request = ask()
      assert.equal(await store.read(request), undefined)
      await acquired(store, request)
      assert.equal(await store.read(ask()), undefined)
      await store.complete(request, bytes('done'))
      const recorded = await store.read(ask())
      assert.equal(new TextDecoder().decode(recorded), 'done')
      assert.equal(await store.read(ask({ fingerprint: 'other' })), undefined)
      assert.equal(await store.read(ask({ scope: 'somebody else' })), undefined)
    },
  },
  {
    name: 'a scope holds so many keys, other scopes and its own keys are not affected',
    async run({ store }) {
      const limit = { maxKeysPerScope: 3 }
      for (const key of ['1', '2', '3']) await acquired(store, ask({ key, ...limit }))
      const result = await store.acquire(ask({ key: '4', ...limit }))
      assert.equal(result.type, 'full')
      if (result.type === 'full') {
        assert.equal(result.limit, 'scope')
        assert.ok(result.retryAfterMs > 0 && result.retryAfterMs <= TTL_MS, String(result.retryAfterMs))
      }
      assert.equal((await store.acquire(ask({ key: '1', ...limit }))).type, 'busy')
      await acquired(store, ask({ key: '4', scope: 'somebody else', ...limit }))
    },
  },
  {
    name: 'a full scope has room again when its keys have expired',
    async run({ store, advance }) {
      const limit = { maxKeysPerScope: 2 }
      await completed(store, ask({ key: '1', ...limit }))
      await advance(TTL_MS / 2)
      await completed(store, ask({ key: '2', ...limit }))
      assert.equal((await store.acquire(ask({ key: '3', ...limit }))).type, 'full')
      await advance(TTL_MS / 2)
      await acquired(store, ask({ key: '3', ...limit }))
      assert.equal((await store.acquire(ask({ key: '4', ...limit }))).type, 'full')
    },
  },
  {
    name: 'a key that is released and taken again counts once',
    async run({ store }) {
      const limit = { maxKeysPerScope: 1 }
      for (let time = 1; time <= 3; time++) {
        const request = ask(limit)
        assert.equal(await acquired(store, request), time)
        await store.release(request)
      }
    },
  },
]

/** What every store has to do. */
export const storeCases: readonly StoreCase[] = [
  ...acquiring,
  ...order,
  ...lifetime,
  ...owning,
  ...releasing,
  ...keeping,
]
