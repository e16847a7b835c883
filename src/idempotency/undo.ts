import type { Settings } from './options.ts'
import { bounded } from './patience.ts'
import type { IdempotencyStore, Lease } from './store.ts'

const FIRST_WAIT_MS = 50
const LONGEST_WAIT_MS = 5000
/** A store that comes back from an outage has other things to do. */
const MOST_AT_ONCE = 1000

/** What is to be given back to one store: so many are asked for at a time, the others wait for a place. */
class Line {
  #atWork = 0
  readonly #waiting = new Set<() => Promise<void>>()

  add(work: () => Promise<void>): void {
    this.#waiting.add(work)
    this.#next()
  }

  #next(): void {
    for (const work of this.#waiting) {
      if (this.#atWork >= MOST_AT_ONCE) return
      this.#waiting.delete(work)
      this.#atWork++
      void work().finally(() => {
        this.#atWork--
        this.#next()
      })
    }
  }
}

const lines = new WeakMap<IdempotencyStore, Line>()

/**
 * Gives back a key that was perhaps acquired although the answer never came: nobody is going to run under it, and it
 * would keep everybody else away, with `abandoned: 'block'` for good. Goes on in the background for as long as a lease
 * lasts, since the store that did not answer may be away. Never rejects, and keeps no process alive.
 *
 * @param isUnderWay - whether an attempt to acquire it may still arrive, and take it once more
 */
export function undoAcquire(settings: Settings, lease: Lease, isUnderWay: () => boolean): void {
  const { store, clock } = settings
  let line = lines.get(store)
  if (line === undefined) lines.set(store, (line = new Line()))
  const startedMs = clock.now()
  line.add(async () => {
    if (clock.now() - startedMs < settings.leaseMs) await undo(settings, lease, isUnderWay)
  })
}

/** The same for one that is known to be taken, by a store that has just answered: as many as it has answers for. */
export function undoAcquired(settings: Settings, lease: Lease, isUnderWay: () => boolean): void {
  void undo(settings, lease, isUnderWay)
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
