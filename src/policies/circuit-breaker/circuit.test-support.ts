import { CLIENT_DEFAULTS } from '../../primitives/client-defaults.ts'
import { virtualClock, type VirtualClock } from '../../testing/virtual-clock.ts'
import { Circuit, type CircuitEvent } from './circuit.ts'
import { REFUSED, type Verdict } from './permit.ts'
import type { CircuitSettings } from './rules.ts'

export interface Bench {
  readonly circuit: Circuit
  readonly clock: VirtualClock
  readonly events: CircuitEvent[]
  /** Makes attempts that end at once, as if they had taken `durationMs`. @returns how many were let through. */
  readonly run: (verdict: Verdict, count?: number, durationMs?: number) => number
}

/** A circuit on a clock of its own, or on that of another bench. */
export function bench(
  settings: Partial<CircuitSettings> = {},
  { random = () => 0.5, clock = virtualClock() }: { random?: () => number; clock?: VirtualClock } = {},
): Bench {
  const events: CircuitEvent[] = []
  const circuit = new Circuit('api', {
    settings: { ...CLIENT_DEFAULTS.circuitBreaker, leaseMs: 30_000, ...settings },
    clock,
    random,
    onChange: (event) => events.push(event),
    onProbeReturned: () => {},
  })
  return {
    circuit,
    clock,
    events,
    run(verdict, count = 1, durationMs = 0) {
      let admitted = 0
      for (let call = 0; call < count; call++) {
        const permit = circuit.tryAcquire()
        if (permit === REFUSED) continue
        admitted++
        circuit.settle(permit, verdict, clock.now() - durationMs)
      }
      return admitted
    },
  }
}
