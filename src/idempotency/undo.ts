import type { Settings } from './options.ts'
import { bounded } from './patience.ts'
import type { IdempotencyStore, Lease } from './store.ts'

const FIRST_WAIT_MS = 50
const LONGEST_WAIT_MS = 5000
/** A store that comes back from an outage has more to do than this; what is left out goes with its lease. */
const MOST_AT_ONCE = 1000

const underWay = new WeakMap<IdempotencyStore, number>()

/**
 * Gives back a key that was perhaps acquired although the answer never came: nobody is going to run under it, and it
 * would keep everybody else away, with `abandoned: 'block'` for good. Goes on in the background for as long as a lease
 * lasts, since the store that did not answer may be away. Never rejects, and keeps no process alive.
 *
 * @param isUnderWay - whether an attempt to acquire it may still arrive, and take it once more
 */
export function undoAcquire(settings: Settings, lease: Lease, isUnderWay: () => boolean): void {
  const { store } = settings
  const others = underWay.get(store) ?? 0
  if (others >= MOST_AT_ONCE) return
  underWay.set(store, others + 1)
  void undo(settings, lease, isUnderWay).finally(() => underWay.set(store, (underWay.get(store) ?? 1) - 1))
}

async function undo(
  { store, clock, storeTimeoutMs, leaseMs }: Settings,
  lease: Lease,
  isUnderWay: () => boolean,
): Promise<void> {
  const startedMs = clock.now()
  for (let waitMs = FIRST_WAIT_MS; ; waitMs = Math.min(2 * waitMs, LONGEST_WAIT_MS)) {
    // As it is asked: what arrives after it is not undone by it.
    const mayArrive = isUnderWay()
    const answer = await bounded(clock, storeTimeoutMs, () => store.release(lease)).catch(() => undefined)
    const passedMs = clock.now() - startedMs
    if ((answer === 'released' && !mayArrive) || passedMs >= leaseMs) return
    // Nothing to give back yet, or not all: what is on its way arrives within the time that a request waits for it.
    if (answer !== undefined && passedMs >= storeTimeoutMs) return
    await new Promise<void>((resolve) => {
      clock.schedule(resolve, waitMs)
    })
  }
}
