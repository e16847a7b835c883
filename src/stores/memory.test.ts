import { describe, expect, onTestFinished, test, vi } from 'vitest'
import { collectGarbage } from '../../test/support/garbage.ts'
import type { AcquireRequest, IdempotencyStore } from '../idempotency/store.ts'
import { virtualClock } from '../testing/virtual-clock.ts'
import { memoryStore, MEMORY_STORE_DEFAULTS, type MemoryStoreOptions } from './memory.ts'

const ask = (key: string, overrides: Partial<AcquireRequest> = {}): AcquireRequest => ({
  scope: 's',
  key,
  fingerprint: 'f',
  owner: `owner of ${key}`,
  leaseMs: 100,
  ttlMs: 1000,
  abandoned: 'block',
  maxKeysPerScope: 1_000_000,
  ...overrides,
})

async function done(store: IdempotencyStore, key: string, bytes = 1): Promise<void> {
  await store.acquire(ask(key))
  await store.complete(ask(key), new Uint8Array(bytes))
}

/** Tells how many of the byte arrays made from now on are still there: what the store keeps is a copy. */
function watchCopies(): () => number {
  const made: WeakRef<Uint8Array>[] = []
  const construct = (...given: Parameters<typeof Reflect.construct>): Uint8Array => {
    const copy: Uint8Array = Reflect.construct(...given)
    made.push(new WeakRef(copy))
    return copy
  }
  vi.stubGlobal('Uint8Array', new Proxy(Uint8Array, { construct }))
  onTestFinished(() => void vi.unstubAllGlobals())
  return () => made.filter((copy) => copy.deref() !== undefined).length
}

describe('a memory store', () => {
  test('that is full refuses new keys until old ones expire, and forgets none of them', async () => {
    const clock = virtualClock()
    const store = memoryStore({ clock, maxRecords: 2 })
    await done(store, 'done')
    await store.acquire(ask('active', { owner: 'somebody', ttlMs: 2000 }))
    await clock.advance(400)
    expect(await store.acquire(ask('new'))).toEqual({ type: 'full', limit: 'store', retryAfterMs: 600 })
    expect((await store.acquire(ask('done'))).type).toBe('done')
    expect((await store.acquire(ask('active'))).type).toBe('abandoned')
    await clock.advance(600)
    expect((await store.acquire(ask('new'))).type).toBe('acquired')
    expect((await store.acquire(ask('active'))).type).toBe('abandoned')
  })

  test('that is full of many keys is looked through now and then, and not for each of them that expires', async () => {
    const clock = virtualClock()
    const store = memoryStore({ clock })
    const limit = { maxKeysPerScope: 20_000 }
    for (let key = 0; key < 20_000; key++)
      await store.acquire(ask(`old ${key}`, { ...limit, ttlMs: 100_000 + key }))
    await clock.advance(100_000)
    expect((await store.acquire(ask('new', limit))).type).toBe('acquired')
    await clock.advance(1)
    expect(await store.acquire(ask('next', limit))).toMatchObject({ type: 'full', limit: 'scope' })
    await clock.advance(19)
    for (let key = 0; key < 20; key++)
      expect((await store.acquire(ask(`new ${key}`, limit))).type).toBe('acquired')
    expect((await store.acquire(ask('next', limit))).type).toBe('full')
  })

  test('that holds too many bytes refuses new keys, and always completes those in progress', async () => {
    const clock = virtualClock()
    const store = memoryStore({ clock, maxBytes: 1000 })
    for (const key of ['1', '2', '3']) await store.acquire(ask(key))
    for (const key of ['1', '2', '3']) {
      expect(await store.complete(ask(key), new Uint8Array(600))).toBe('completed')
    }
    expect(await store.acquire(ask('4'))).toMatchObject({ type: 'full', limit: 'store' })
    await clock.advance(1001)
    expect((await store.acquire(ask('4'))).type).toBe('acquired')
  })

  test('keeps an owner alive in a full store, however long it takes', async () => {
    const clock = virtualClock()
    const store = memoryStore({ clock, maxRecords: 1 })
    await store.acquire(ask('active'))
    for (let passedMs = 0; passedMs < 3000; passedMs += 50) {
      await clock.advance(50)
      expect(await store.heartbeat(ask('active'))).toBe('extended')
      expect((await store.acquire(ask('new'))).type).toBe('full')
    }
    expect(await store.complete(ask('active'), new Uint8Array(1))).toBe('completed')
    await clock.advance(100)
    expect((await store.acquire(ask('new'))).type).toBe('acquired')
  })

  test('lets go of what has expired while new keys come, without a timer', async () => {
    const clock = virtualClock()
    const store = memoryStore({ clock })
    await store.acquire(ask('old'))
    const copies = watchCopies()
    await store.complete(ask('old'), Buffer.alloc(8))
    vi.unstubAllGlobals()
    await clock.advance(999)
    await store.acquire(ask('new'))
    collectGarbage()
    expect(copies()).toBe(1)
    await clock.advance(1)
    for (let key = 0; key < 2; key++) await store.acquire(ask(`newer ${key}`))
    await clock.settle()
    collectGarbage()
    expect(copies()).toBe(0)
    expect(clock.pending).toBe(0)
  })

  test('is not impressed by a wall clock that jumps', async () => {
    const clock = virtualClock()
    const store = memoryStore({ clock })
    await done(store, 'k')
    clock.jumpWall(48 * 60 * 60 * 1000)
    expect((await store.acquire(ask('k'))).type).toBe('done')
  })

  test.each([
    [{ maxRecords: 0 }, 'memoryStore: maxRecords should be an integer >= 1, got 0'],
    [{ maxBytes: 1.5 }, 'memoryStore: maxBytes should be an integer >= 1, got 1.5'],
    [{ ttl: 5 }, 'memoryStore has no option "ttl"; it has maxRecords, maxBytes, clock'],
  ])('%o are refused', (options, message) => {
    expect(() => memoryStore(options as MemoryStoreOptions)).toThrow(message)
  })

  test('has these defaults', () => {
    expect(MEMORY_STORE_DEFAULTS).toEqual({ maxRecords: 1_000_000, maxBytes: 268_435_456 })
    expect(() => memoryStore()).not.toThrow()
  })

  test('takes undefined for not given', () => {
    const options: object = { maxRecords: undefined, maxBytes: undefined, clock: undefined }
    expect(() => memoryStore(options)).not.toThrow()
  })
})
