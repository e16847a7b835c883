import type { Clock, Timer } from '../../clock.ts'
import type { AbortListener, Scope } from '../../signal.ts'
import type { Circuit } from './circuit.ts'

/** How many calls may park at a breaker's open circuits before further ones are rejected. */
export const MAX_WAITING = 1000

/** Where calls park while their circuit is open (`whenOpen: 'wait'`). */
export class WaitingRoom {
  readonly #clock: Clock
  readonly #waiting = new Set<() => void>()

  constructor(clock: Clock) {
    this.#clock = clock
  }

  get isFull(): boolean {
    return this.#waiting.size >= MAX_WAITING
  }

  /** Everybody looks again: a circuit has changed its state. */
  wakeAll(): void {
    for (const wake of this.#waiting) wake()
  }

  /** Resolves when asking again may help; rejects with the scope's reason when that is aborted. */
  wait(circuit: Circuit, scope: Scope): Promise<void> {
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
      const timer = this.#alarm(circuit, wake)
    })
  }

  /** An isolated circuit only opens by hand: no time is worth waking for. */
  #alarm(circuit: Circuit, wake: () => void): Timer | undefined {
    if (circuit.state === 'isolated') return undefined
    // At least a millisecond: a test request of no remaining lease must not spin.
    return this.#clock.schedule(wake, Math.max(1, circuit.retryAfterMs), { keepAlive: true })
  }
}
