import type { Clock } from '../primitives/clock.ts'
import type { AbortListener, Scope } from '../primitives/signal.ts'
import { onWorkers } from '../primitives/on-workers.ts'
import { Line } from './workers.ts'

/** Where calls wait for a time to come or for news, whichever is first. */
export class WaitingRoom {
  readonly #clock: Clock
  readonly #waiting = new Set<() => void>()
  /** Of those who can't be woken by others. */
  readonly #line: Line | undefined

  constructor(clock: Clock) {
    this.#clock = clock
    if (onWorkers()) this.#line = new Line(clock)
  }

  get size(): number {
    return this.#waiting.size + (this.#line?.size ?? 0)
  }

  /** Everybody looks again. */
  wakeAll(): void {
    for (const wake of this.#waiting) wake()
  }

  /**
   * Resolves after `delayMs` or at the next `wakeAll`; rejects with the scope's reason when that is aborted. Without a
   * `delayMs` only news ends it. Keeps a Node process alive while it has a time to wait for. It may resolve earlier:
   * whoever waits looks again.
   */
  wait(scope: Scope, delayMs: number | undefined): Promise<void> {
    if (this.#line !== undefined) return this.#line.wait(scope, delayMs)
    return new Promise((resolve, reject) => {
      const leave = (): void => {
        timer?.cancel()
        scope.remove(listener)
        this.#waiting.delete(wake)
      }
      const wake = (): void => {
        leave()
        resolve()
      }
      const listener: AbortListener = {
        onAbort() {
          leave()
          reject(scope.reason)
        },
      }
      if (scope.aborted) {
        reject(scope.reason)
        return
      }
      this.#waiting.add(wake)
      scope.add(listener)
      const timer =
        delayMs === undefined ? undefined : this.#clock.schedule(wake, delayMs, { keepAlive: true })
    })
  }
}
