import { describe, expect, test } from 'vitest'
import { memoryStore } from '../stores/memory.ts'
import { virtualClock, type VirtualClock } from '../testing/virtual-clock.ts'
import { Claim } from './claim.ts'
import { resolveOptions } from './options.ts'
import type { AcquireRequest, AcquireResult, IdempotencyStore, Lease, StoreTransaction } from './store.ts'
import { beginTransaction } from './transaction-limits.ts'

const info = { method: 'POST', path: '/', key: 'k' }
const record = { scope: 's', key: 'k', fingerprint: 'f' }
const lease = { ...record, leaseMs: 1000, ttlMs: 60_000, abandoned: 'block', maxKeysPerScope: 10 } as const

/** The operations of a store, to replace some of them. */
const delegating = (inner: IdempotencyStore): IdempotencyStore => ({
  name: 'failing',
  acquire: (request) => inner.acquire(request),
  heartbeat: (lease) => inner.heartbeat(lease),
  complete: (lease, response) => inner.complete(lease, response),
  release: (lease) => inner.release(lease),
  read: (lease) => inner.read(lease),
})

function gate(): { readonly opened: Promise<void>; readonly open: () => void } {
  let open = (): void => {}
  const opened = new Promise<void>((resolve) => (open = resolve))
  return { opened, open }
}

/** A store whose acquires, or whose transactions, arrive when they are let in. */
function slowStore(clock: ReturnType<typeof virtualClock>): {
  readonly store: IdempotencyStore
  readonly letIn: () => void
  rolledBack: boolean
} {
  const inner = memoryStore({ clock })
  const { opened, open: letIn } = gate()
  const state = { rolledBack: false }
  const transaction: StoreTransaction = {
    client: undefined,
    complete: async () => 'completed',
    commit: async () => {},
    rollback: async () => {
      state.rolledBack = true
    },
  }
  const store: IdempotencyStore = {
    ...delegating(inner),
    acquire: (request: AcquireRequest): Promise<AcquireResult> => opened.then(() => inner.acquire(request)),
    begin: () => opened.then(() => transaction),
  }
  return Object.assign(state, { store, letIn })
}

/** In a promise, however soon the store answers. */
const acquire = async (claim: Claim): Promise<AcquireResult> => claim.acquire()

const never = (): Promise<never> => new Promise(() => {})

/** A claim by its second attempt: the first one arrives when it is let in, and is `answered`. */
async function acquiredAtSecond(
  clock: ReturnType<typeof virtualClock>,
  inner: IdempotencyStore,
  answered = (result: AcquireResult): AcquireResult | Promise<AcquireResult> => result,
): Promise<{ readonly claim: Claim; readonly store: IdempotencyStore; readonly letIn: () => void }> {
  const { opened, open: letIn } = gate()
  let attempts = 0
  const store: IdempotencyStore = {
    ...delegating(inner),
    acquire: (request) =>
      attempts++ === 0 ? opened.then(() => inner.acquire(request)).then(answered) : inner.acquire(request),
  }
  const claim = new Claim(resolveOptions({ store, clock }), info, record)
  const acquiring = claim.acquire()
  await clock.advance(1100)
  expect(await acquiring).toEqual({ type: 'acquired', fence: 1 })
  expect(attempts).toBe(2)
  return { claim, store, letIn }
}

describe('a claim', () => {
  test('that arrives after everybody gave up is undone', async () => {
    const clock = virtualClock()
    const { store, letIn } = slowStore(clock)
    const settings = resolveOptions({ store, clock })
    const failed = acquire(new Claim(settings, info, record)).catch((error: unknown) => error)
    await clock.advance(2000)
    expect(await failed).toBeInstanceOf(Error)
    letIn()
    await clock.settle()
    expect((await acquire(new Claim(settings, info, record))).type).toBe('acquired')
  })

  test('whose answer never comes is undone as soon as the store can be asked again', async () => {
    const clock = virtualClock()
    const inner = memoryStore({ clock })
    let isAway = true
    let releases = 0
    const store: IdempotencyStore = {
      ...delegating(inner),
      acquire: (request) => (isAway ? inner.acquire(request).then(never) : inner.acquire(request)),
      async release(lease) {
        releases++
        return isAway ? never() : inner.release(lease)
      },
    }
    const settings = resolveOptions({ store, clock })
    const failed = acquire(new Claim(settings, info, record)).catch((error: unknown) => error)
    await clock.advance(2000)
    expect(await failed).toBeInstanceOf(Error)
    await clock.advance(10_000)
    isAway = false
    expect((await acquire(new Claim(settings, info, record))).type).toBe('busy')
    await clock.advance(7000)
    expect((await acquire(new Claim(settings, info, record))).type).toBe('acquired')
    const before = releases
    await clock.advance(60_000)
    expect(releases).toBe(before)
    expect(clock.pending).toBe(0)
  })

  test('is undone once more where a second attempt arrives after that, and neither is answered', async () => {
    const clock = virtualClock()
    const inner = memoryStore({ clock })
    const { opened, open: letIn } = gate()
    let attempts = 0
    const store: IdempotencyStore = {
      ...delegating(inner),
      acquire: (request) =>
        (attempts++ === 0 ? inner.acquire(request) : opened.then(() => inner.acquire(request))).then(never),
    }
    const settings = resolveOptions({ store, clock })
    const failed = acquire(new Claim(settings, info, record)).catch((error: unknown) => error)
    await clock.advance(2000)
    expect(await failed).toBeInstanceOf(Error)
    expect(attempts).toBe(2)
    letIn()
    await clock.advance(100)
    const again = new Claim(resolveOptions({ store: inner, clock }), info, record)
    expect((await acquire(again)).type).toBe('acquired')
    await clock.advance(60_000)
    expect(clock.pending).toBe(0)
  })

  test('is undone once more where an attempt arrives, and fails, while the answer to the first undoing is on its way', async () => {
    const clock = virtualClock()
    const inner = memoryStore({ clock })
    const [arrival, answer] = [gate(), gate()]
    let attempts = 0
    const store: IdempotencyStore = {
      ...delegating(inner),
      async acquire(request) {
        if (attempts++ > 0) await arrival.opened
        await inner.acquire(request)
        throw new Error('lost')
      },
      async release(lease) {
        const result = await inner.release(lease)
        await answer.opened
        return result
      },
    }
    const failed = acquire(new Claim(resolveOptions({ store, clock }), info, record)).catch(() => {})
    await clock.advance(2000)
    await failed
    arrival.open()
    await clock.settle()
    answer.open()
    await clock.advance(100)
    const again = new Claim(resolveOptions({ store: inner, clock }), info, record)
    expect((await acquire(again)).type).toBe('acquired')
  })

  test('that was given back is given back once more where an earlier attempt arrives after that, unanswered', async () => {
    const clock = virtualClock()
    const inner = memoryStore({ clock })
    const { claim, letIn, store } = await acquiredAtSecond(clock, inner, never)
    expect(await claim.release()).toBe('released')
    letIn()
    await clock.advance(100)
    expect((await acquire(new Claim(resolveOptions({ store, clock }), info, record))).type).toBe('acquired')
    await clock.advance(60_000)
    expect(clock.pending).toBe(0)
  })

  test('that may not have arrived is looked for as long as a lease lasts, at growing distances, and no longer', async () => {
    const clock = virtualClock()
    const askedMs: number[] = []
    const away = async (): Promise<never> => {
      throw new Error('away')
    }
    const store: IdempotencyStore = {
      ...delegating(memoryStore({ clock })),
      acquire: away,
      async release() {
        askedMs.push(clock.now())
        return away()
      },
    }
    const settings = resolveOptions({ store, clock })
    const failed = acquire(new Claim(settings, info, record)).catch(() => {})
    await clock.advance(100_000)
    await failed
    const [first = 0] = askedMs
    expect(askedMs.map((ms) => ms - first)).toEqual([
      0, 50, 150, 350, 750, 1550, 3150, 6350, 11_350, 16_350, 21_350, 26_350, 31_350,
    ])
    expect(clock.pending).toBe(0)
  })

  test('whose own earlier attempt arrives when all is over gives that one back, too', async () => {
    const clock = virtualClock()
    const inner = memoryStore({ clock })
    const { claim, letIn } = await acquiredAtSecond(clock, inner)
    await claim.release()
    letIn()
    await clock.settle()
    expect(await inner.acquire({ ...lease, owner: 'other' })).toEqual({ type: 'acquired', fence: 3 })
  })

  test('whose own earlier attempt is answered with nothing leaves nothing unhandled', async () => {
    const clock = virtualClock()
    const nothing = (): AcquireResult => JSON.parse('null') as AcquireResult
    const { claim, letIn } = await acquiredAtSecond(clock, memoryStore({ clock }), nothing)
    letIn()
    await clock.advance(0)
    expect(await claim.release()).toBe('released')
  })

  test('whose own earlier attempt arrives while it runs keeps its key', async () => {
    const clock = virtualClock()
    const inner = memoryStore({ clock })
    const { opened, open: letIn } = gate()
    let attempts = 0
    const store: IdempotencyStore = {
      ...delegating(inner),
      acquire: (request) =>
        attempts++ === 0 ? opened.then(() => inner.acquire(request)) : inner.acquire(request),
    }
    const claim = new Claim(resolveOptions({ store, clock }), info, record)
    const acquiring = claim.acquire()
    await clock.advance(1100)
    await acquiring
    letIn()
    await clock.settle()
    expect((await inner.acquire({ ...lease, owner: 'other' })).type).toBe('busy')
    expect(await claim.complete(Uint8Array.of(1))).toBe('completed')
  })

  test('that asks again has another owner: what it asked for first never gives back the key it runs under', async () => {
    const clock = virtualClock()
    const inner = memoryStore({ clock })
    const arrive = gate()
    const answer = gate()
    let attempts = 0
    const store: IdempotencyStore = {
      ...delegating(inner),
      async acquire(request) {
        if (attempts++ > 0) return inner.acquire(request)
        await arrive.opened
        const late = await inner.acquire(request)
        await answer.opened
        return late
      },
    }
    const settings = resolveOptions({ store, clock })
    const first = new Claim(settings, info, record)
    await inner.acquire({ ...lease, leaseMs: 60_000, owner: 'first' })
    const acquiring = first.acquire()
    await clock.advance(1100)
    expect((await acquiring).type).toBe('busy')
    await inner.release({ ...lease, owner: 'first' })
    arrive.open()
    await clock.settle()
    // Taken by the late attempt, and given back although nobody has heard of it.
    expect((await first.acquire()).type).toBe('busy')
    await clock.advance(1000)
    expect(await first.acquire()).toEqual({ type: 'acquired', fence: 3 })
    answer.open()
    await clock.advance(10_000)
    expect(await first.complete(Uint8Array.of(1))).toBe('completed')
    expect(clock.pending).toBe(0)
  })

  test('looks for a thousand at a time: a store that comes back has other things to do', async () => {
    const clock = virtualClock()
    const owners = new Set<string>()
    const store: IdempotencyStore = {
      ...delegating(memoryStore({ clock })),
      acquire: never,
      async release({ owner }) {
        owners.add(owner)
        return never()
      },
    }
    const settings = resolveOptions({ store, clock, leaseMs: 2000 })
    const wait = async (count: number): Promise<void> => {
      const claims = Array.from({ length: count }, () => acquire(new Claim(settings, info, record)))
      const ended = Promise.allSettled(claims)
      await clock.advance(2000)
      await ended
    }
    await wait(1001)
    expect(owners.size).toBe(1000)
    await clock.advance(60_000)
    await wait(1)
    expect(owners.size).toBe(1001)
  })

  test('is looked for in its turn where a thousand others are, and at once where its answer comes', async () => {
    const clock = virtualClock()
    const inner = memoryStore({ clock })
    const late = gate()
    const back = gate()
    const store: IdempotencyStore = {
      ...delegating(inner),
      acquire: (request) =>
        request.key === 'late'
          ? late.opened.then(() => inner.acquire(request))
          : inner.acquire(request).then(never),
      release: (request) =>
        request.key === 'late' ? inner.release(request) : back.opened.then(() => inner.release(request)),
    }
    const settings = resolveOptions({ store, clock, maxKeysPerScope: 2000 })
    const keys = [...Array.from({ length: 1001 }, (_, index) => String(index)), 'late']
    const claims = keys.map((key) => acquire(new Claim(settings, info, { ...record, key })))
    const failed = Promise.allSettled(claims)
    await clock.advance(2000)
    await failed
    const takenAnew = async (key: string): Promise<string> =>
      (await inner.acquire({ ...lease, maxKeysPerScope: 2000, key, owner: 'other' })).type
    late.open()
    await clock.settle()
    expect(await takenAnew('late')).toBe('acquired')
    back.open()
    await clock.advance(10_000)
    expect(new Set(await Promise.all(keys.map(takenAnew)))).toEqual(new Set(['acquired']))
    expect(clock.pending).toBe(0)
  })

  describe('whose lease has run since an answer that was late', () => {
    /** Its first answer comes after most of the lease, and the next operation is this one. */
    async function lateClaim(
      heartbeat?: (
        lease: Lease,
        at: { readonly clock: VirtualClock; readonly inner: IdempotencyStore },
      ) => Promise<'extended' | 'lost'>,
    ): Promise<{
      readonly result: unknown
      readonly other: AcquireResult
      readonly errors: readonly string[]
    }> {
      const clock = virtualClock()
      const inner = memoryStore({ clock })
      const errors: string[] = []
      const store: IdempotencyStore = {
        ...delegating(inner),
        ...(heartbeat && { heartbeat: (renewed) => heartbeat(renewed, { clock, inner }) }),
        async acquire(request) {
          const result = await inner.acquire(request)
          await new Promise<void>((resolve) => void clock.schedule(resolve, 900))
          return result
        },
      }
      const settings = resolveOptions({
        store,
        clock,
        leaseMs: 1000,
        storeTimeoutMs: 2000,
        onEvent: (event) => void (event.type === 'store-error' && errors.push(event.operation)),
      })
      const acquiring = acquire(new Claim(settings, info, record)).catch((error: unknown) => error)
      // It has the key for 900 ms when it hears of it, and another request comes 200 ms later.
      await clock.advance(1100)
      const other = await inner.acquire({ ...lease, owner: 'another one' })
      await clock.runAll()
      return { result: await acquiring, other, errors }
    }

    test('renews it before anybody runs under it', async () => {
      const { result, other } = await lateClaim()
      expect(result).toEqual({ type: 'acquired', fence: 1 })
      expect(other).toMatchObject({ type: 'busy' })
    })

    test('is given up where it is lost, and where nobody says', async () => {
      const lost = await lateClaim(async () => 'lost')
      expect(lost.result).toMatchObject({ message: 'the key was lost before its answer came' })
      const failed = await lateClaim(async () => {
        throw new Error('the store is gone')
      })
      expect(failed.result).toMatchObject({ message: 'the store is gone' })
      expect(failed.errors).toEqual(['heartbeat'])
      const slow = await lateClaim(async (lease, { clock, inner }) => {
        await new Promise<void>((resolve) => void clock.schedule(resolve, 700))
        return inner.heartbeat(lease)
      })
      expect(slow.result).toMatchObject({ message: 'the store answers too late for a lease of 1000 ms' })
      // What nobody runs under is given back.
      expect([lost.other.type, failed.other.type]).toEqual(['acquired', 'acquired'])
    })
  })

  test('has one owner for all of its attempts, and another one than every other claim', async () => {
    const clock = virtualClock()
    const owners: string[] = []
    const store: IdempotencyStore = {
      ...delegating(memoryStore({ clock })),
      acquire: async (request) => {
        owners.push(request.owner)
        throw new Error('away')
      },
    }
    const settings = resolveOptions({ store, clock })
    for (let claim = 0; claim < 2; claim++) {
      const failed = acquire(new Claim(settings, info, record)).catch(() => {})
      await clock.advance(2000)
      await failed
    }
    expect(owners.length).toBeGreaterThan(4)
    expect(new Set(owners).size).toBe(2)
  })
})

describe('a transaction', () => {
  test('that opens after everybody gave up is rolled back: it would keep the database from everybody', async () => {
    const clock = virtualClock()
    const slow = slowStore(clock)
    const failed = beginTransaction(resolveOptions({ store: slow.store, clock }), undefined).catch(
      (error: unknown) => error,
    )
    await clock.advance(2000)
    expect(await failed).toBeInstanceOf(Error)
    slow.letIn()
    await clock.settle()
    expect(slow.rolledBack).toBe(true)
  })
})
