import type { HoldfastEvent } from '../../core/events.ts'
import { pipeline, type Pipeline } from '../../core/pipeline.ts'
import { virtualClock, type VirtualClock } from '../../testing/virtual-clock.ts'
import type { CircuitControl } from './circuits.ts'
import { circuitBreaker } from './circuit-breaker.ts'
import type { CircuitBreaker, CircuitBreakerOptions } from './guard.ts'

const random = (): number => 0.5
export const fail = async (): Promise<never> => {
  throw new Error('down')
}
export const succeed = async (): Promise<string> => 'up'

interface Bench {
  readonly clock: VirtualClock
  readonly events: HoldfastEvent[]
  readonly breaker: CircuitBreaker
  readonly guarded: Pipeline
  readonly open: () => Promise<void>
  readonly circuit: CircuitControl
}

/** A breaker that any ten failures open, on a virtual clock. */
export function bench(options: CircuitBreakerOptions = {}): Bench {
  const clock = virtualClock()
  const events: HoldfastEvent[] = []
  const breaker = circuitBreaker({ clock, random, onEvent: (event) => events.push(event), ...options })
  const guarded = pipeline(breaker)
  const open = async (): Promise<void> => {
    for (let call = 0; call < 10; call++) await guarded.execute(fail).catch(() => {})
  }
  return { clock, events, breaker, guarded, open, circuit: breaker.circuits.get('default') }
}
