import type { Clock } from '../../primitives/clock.ts'
import { CircuitOpenError } from '../../primitives/errors.ts'
import type { Context } from '../../core/policy.ts'
import { WaitingRoom } from '../../structures/waiting-room.ts'
import type { Circuit } from './circuit.ts'
import type { CircuitStore, Parking } from './guard.ts'
import { REFUSED, type Permit } from './permit.ts'

/** How many calls may park at a breaker's open circuits before further ones are rejected. */
export const MAX_WAITING = 1000

/** The one place to wait at the circuits of a store. */
export function parkingOf(store: CircuitStore): Parking {
  store.parking ??= new CircuitParking(store)
  return store.parking
}

class CircuitParking implements Parking {
  readonly #clock: Clock
  readonly #waiting: WaitingRoom

  constructor({ clock }: CircuitStore) {
    this.#clock = clock
    this.#waiting = new WaitingRoom(clock)
  }

  async park(
    circuit: Circuit,
    { execution, scope, deadline }: Context,
    leaseMs: number | undefined,
  ): Promise<Permit> {
    execution.parkings = (execution.parkings ?? 0) + 1
    let permit: Permit = REFUSED
    while (permit === REFUSED) {
      if (this.#waiting.size >= MAX_WAITING) throw new CircuitOpenError(circuit.key, circuit.retryAfterMs)
      await this.#waiting.wait(scope, worthWaitingMs(circuit))
      // A process that was stopped meanwhile may wake too late: the timer that ends the call is due, and goes off first.
      if (this.#clock.now() >= deadline) await this.#waiting.wait(scope, 1)
      permit = circuit.tryAcquire(leaseMs)
    }
    return permit
  }

  wakeAll(): void {
    this.#waiting.wakeAll()
  }
}

/** Until when asking again may help. An isolated circuit only opens by hand: no time is worth waking for. */
function worthWaitingMs(circuit: Circuit): number | undefined {
  if (circuit.state === 'isolated') return undefined
  // At least a millisecond: a test request of no remaining lease must not spin.
  return Math.max(1, circuit.retryAfterMs)
}
