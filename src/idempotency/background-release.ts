import type { Settings } from './options.ts'
import { withTimeout } from './store-calls.ts'
import type { IdempotencyStore, Lease } from './store.ts'

const FIRST_WAIT_MS = 50
const LONGEST_WAIT_MS = 5000
/** Releases that run against one store at the same time: one that comes back from an outage must not be flooded. */
const MAX_CONCURRENT = 1000

/** The releases that are still owed to one store; beyond `MAX_CONCURRENT` they wait for a place. */
class ReleaseQueue {
  #running = 0
  readonly #waiting = new Set<() => Promise<void>>()

  add(work: () => Promise<void>): void {
    this.#waiting.add(work)
    this.#next()
  }

  #next(): void {
    for (const work of this.#waiting) {
      if (this.#running >= MAX_CONCURRENT) return
      this.#waiting.delete(work)
      this.#running++
      void work().finally(() => {
        this.#running--
        this.#next()
      })
    }
  }
}

const queues = new WeakMap<IdempotencyStore, ReleaseQueue>()

/**
 * Releases a key that may have been acquired although the store's answer never came. Nobody will run under it, and left
 * alone it would block every other request, with `abandoned: 'block'` for good. Retries in the background for as long as
 * a lease lasts, since the store may be down. Never rejects, and keeps no process alive.
 *
 * @param isUnderWay - whether an attempt to acquire the key may still reach the store, and take it once more
 */
export function queueRelease(settings: Settings, lease: Lease, isUnderWay: () => boolean): void {
  const { store, clock } = settings
  let queue = queues.get(store)
  if (queue === undefined) queues.set(store, (queue = new ReleaseQueue()))
  const startedMs = clock.now()
  queue.add(async () => {
    if (clock.now() - startedMs < settings.leaseMs) await releaseUntilCertain(settings, lease, isUnderWay)
  })
}

/**
 * As `queueRelease`, for a key that the store has just said is acquired. It does not queue: the store answers, and there
 * are no more of these than it has answered.
 */
export function releaseNow(settings: Settings, lease: Lease, isUnderWay: () => boolean): void {
  void releaseUntilCertain(settings, lease, isUnderWay)
}

async function releaseUntilCertain(
  { store, clock, storeTimeoutMs, leaseMs }: Settings,
  lease: Lease,
  isUnderWay: () => boolean,
): Promise<void> {
  const startedMs = clock.now()
  for (let waitMs = FIRST_WAIT_MS; ; waitMs = Math.min(2 * waitMs, LONGEST_WAIT_MS)) {
    // Read before the release is sent: an acquire that arrives after it is not covered by its answer.
    const mayArrive = isUnderWay()
    const answer = await withTimeout(clock, storeTimeoutMs, () => store.release(lease)).catch(() => undefined)
    const passedMs = clock.now() - startedMs
    if ((answer === 'released' && !mayArrive) || passedMs >= leaseMs) return
    // Nothing was released, or not everything: an acquire under way arrives within `storeTimeoutMs`, or never.
    if (answer !== undefined && passedMs >= storeTimeoutMs) return
    await new Promise<void>((resolve) => {
      clock.schedule(resolve, waitMs)
    })
  }
}
