import { ordered } from '../../core/composition.ts'
import { checkFunction, checkOptions, checkPositive, unchecked } from '../../primitives/validate.ts'
import { CircuitStore, guard, type CircuitBreaker, type CircuitBreakerOptions } from './guard.ts'
import { parkingOf } from './parking.ts'
import { BREAKER_RULES } from './settings.ts'

/**
 * Stops calling what keeps failing: opens when half of at least ten attempts within 30 s have failed, rejects at once
 * for 5 s, then lets a single test request find out whether the service has recovered. Stands inside `retry`, so that
 * it samples attempts, and outside the attempt timeout, so that timeouts count.
 *
 * @throws {HoldfastError} ERR_INVALID_OPTION
 */
export function circuitBreaker<Value = unknown>(
  options: CircuitBreakerOptions<Value> = {},
): CircuitBreaker<Value> {
  checkOptions('circuitBreaker', options, {
    ...BREAKER_RULES,
    key: checkFunction,
    isFailure: checkFunction,
    settledKey: checkFunction,
    random: checkFunction,
    onEvent: checkFunction,
    leaseMs: checkPositive,
    clock: unchecked,
  })
  const store = new CircuitStore(options)
  return ordered(guard(store, options, options.whenOpen === 'wait' ? parkingOf(store) : undefined))
}
