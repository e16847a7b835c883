import fc from 'fast-check'
import { expect, test } from 'vitest'
import { memoryStore } from '../stores/memory.ts'
import { virtualClock, type VirtualClock } from '../testing/virtual-clock.ts'
import { idempotency, type IdempotencyStore } from './index.ts'

const STORE_TIMEOUT_MS = 200
const LEASE_MS = 5000

/** How long a command takes to the store, and its answer back; half of the timeout is what one attempt is given. */
interface Trip {
  readonly thereMs: number
  readonly backMs: number
}

interface Sender {
  readonly atMs: number
  readonly inFlight: 'wait' | 'reject'
  readonly runMs: number
  /** 503 gives the key back. */
  readonly status: 201 | 503
  readonly acquires: readonly Trip[]
  readonly releases: readonly Trip[]
}

const trip = fc.record({
  thereMs: fc.constantFrom(0, 0, 130, 400),
  backMs: fc.constantFrom(0, 0, 130, 400),
})
/** An answer that never comes; its command does, in the time that a request waits. */
const lost = fc.record({ thereMs: fc.constantFrom(0, 130), backMs: fc.constant(Infinity) })
const sender: fc.Arbitrary<Sender> = fc.record({
  atMs: fc.nat(300),
  inFlight: fc.constantFrom('wait', 'reject'),
  runMs: fc.constantFrom(0, 200, 700),
  status: fc.constantFrom(201, 503),
  acquires: fc.array(fc.oneof(trip, lost), { maxLength: 2 }),
  releases: fc.array(trip, { maxLength: 2 }),
})

const pause = (clock: VirtualClock, ms: number): Promise<void> =>
  new Promise((resolve) => {
    if (ms === 0) resolve()
    else if (ms < Infinity) clock.schedule(resolve, ms)
  })

/** The way of one process to the store; after the last of its slow trips it is a quick one. */
function distant(
  inner: IdempotencyStore,
  clock: VirtualClock,
  { acquires, releases }: Sender,
): IdempotencyStore {
  const travel = async <T>(trips: Trip[], call: () => Promise<T>): Promise<T> => {
    const { thereMs, backMs } = trips.shift() ?? { thereMs: 0, backMs: 0 }
    await pause(clock, thereMs)
    const answer = await call()
    await pause(clock, backMs)
    return answer
  }
  const slow = { acquires: [...acquires], releases: [...releases] }
  return {
    name: 'distant',
    acquire: (request) => travel(slow.acquires, () => inner.acquire(request)),
    release: (lease) => travel(slow.releases, () => inner.release(lease)),
    heartbeat: (lease) => inner.heartbeat(lease),
    complete: (lease, response) => inner.complete(lease, response),
    read: (lease) => inner.read(lease),
  }
}

const ask = (): Request =>
  new Request('https://a.test/', { method: 'POST', headers: { 'idempotency-key': 'k' } })

test('in whatever order commands and answers arrive, a key has one run at a time, one success, and is free in the end', async () => {
  const property = fc.asyncProperty(fc.array(sender, { minLength: 3, maxLength: 5 }), async (senders) => {
    const clock = virtualClock()
    const inner = memoryStore({ clock })
    // A listener, so that nothing is said to the log.
    const common = { clock, storeTimeoutMs: STORE_TIMEOUT_MS, leaseMs: LEASE_MS, onEvent() {} } as const
    let running = 0
    let most = 0
    let successes = 0
    const send = async (one: Sender): Promise<void> => {
      const protect = idempotency({ store: distant(inner, clock, one), inFlight: one.inFlight, ...common })
      const handler = protect(async () => {
        most = Math.max(most, ++running)
        await pause(clock, one.runMs)
        running--
        if (one.status === 201) successes++
        return new Response('done', { status: one.status })
      })
      await pause(clock, one.atMs)
      await handler(ask())
    }
    const all = Promise.all(senders.map(send))
    await clock.runAll()
    await all
    const last = await idempotency({ store: inner, ...common })(() => new Response('done', { status: 201 }))(
      ask(),
    )
    expect(most).toBeLessThanOrEqual(1)
    expect(successes).toBeLessThanOrEqual(1)
    expect(last.status).toBe(201)
  })
  await fc.assert(property, { numRuns: 200 })
})
