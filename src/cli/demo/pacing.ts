import type { Clock } from '../../primitives/clock.ts'
import { delay } from '../../primitives/delay.ts'
import type { Scope } from '../../primitives/signal.ts'

export interface Pace {
  readonly clock: Clock
  /** Ends the waiting. */
  readonly scope: Scope
  /** Over how long the items come in, evenly. */
  readonly overMs: number
  /** How many are worked on at a time; beyond it the next ones come late. */
  readonly atMost: number
}

/** Works on items as they come in, and ends when all are done. */
export async function paced<T>(
  items: readonly T[],
  pace: Pace,
  work: (item: T) => Promise<void>,
): Promise<void> {
  const startMs = pace.clock.now()
  const everyMs = pace.overMs / items.length
  const running = new Set<Promise<void>>()
  for (const [index, item] of items.entries()) {
    const waitMs = startMs + index * everyMs - pace.clock.now()
    if (waitMs > 0) await delay(pace.clock, waitMs, pace.scope)
    while (running.size >= pace.atMost) await Promise.race(running)
    const done = work(item).finally(() => running.delete(done))
    running.add(done)
    // Heard below; but when the waiting ends first, nobody is left to hear it.
    done.catch(() => {})
  }
  await Promise.all(running)
}
