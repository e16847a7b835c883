import { CLIENT_DEFAULTS } from '../../primitives/client-defaults.ts'
import { withDefaults, type Complete } from '../../primitives/options.ts'
import {
  checkCount,
  checkFraction,
  checkKeys,
  checkPositive,
  invalidOption,
  oneOf,
  orFalse,
  type Rules,
} from '../../primitives/validate.ts'
import type { SlowCall } from './rules.ts'

export interface CircuitBreakerSettings {
  /** The sliding window. Default 30,000. */
  windowMs?: number | undefined
  /** The share of failed attempts in the window that opens the circuit, in (0, 1]. Default 0.5. */
  failureRate?: number | undefined
  /** Attempts in the window below which no share opens it. Default 10. */
  minimumCalls?: number | undefined
  /**
   * Failures in a row, within the window, that open it as well, however few attempts there were. Default `false`: a
   * service that fails 30 % of its attempts at random has rows of any length.
   */
  consecutive?: number | false | undefined
  /** Opens it as well when too many attempts are slow, successful or not. Default `false`. */
  slowCall?: SlowCall | false | undefined
  /** How long it stays open; doubles with every failed test request. Default 5000, ±25 %. */
  openMs?: number | undefined
  /** The cap of that doubling. Default 30,000. */
  maxOpenMs?: number | undefined
  /** How many test requests decide whether it closes, all at once or one by one, by the same shares. Default 1. */
  halfOpenProbes?: number | undefined
  /** 'reject' with a `CircuitOpenError` at once (default), or 'wait' until the circuit lets the call through. */
  whenOpen?: 'reject' | 'wait' | undefined
  /** How many circuits are kept; only closed, idle ones are forgotten. Default 1000. */
  maxCircuits?: number | undefined
}

function checkSlowCall(name: string, value: unknown): void {
  const { durationMs, rate } = Object(value) as Partial<SlowCall>
  checkKeys(name, value, ['durationMs', 'rate'])
  checkPositive(`${name}.durationMs`, durationMs)
  checkFraction(`${name}.rate`, rate)
}

/** What the settings of a breaker may be; `complete` refuses those that contradict each other. */
export const BREAKER_RULES: Rules<CircuitBreakerSettings> = {
  windowMs: checkPositive,
  failureRate: checkFraction,
  minimumCalls: checkCount,
  consecutive: orFalse(checkCount),
  slowCall: orFalse(checkSlowCall),
  openMs: checkPositive,
  maxOpenMs: checkPositive,
  halfOpenProbes: checkCount,
  whenOpen: oneOf('reject', 'wait'),
  maxCircuits: checkCount,
}

/**
 * An open time above the default cap lifts the cap: only a cap that was asked for can contradict it.
 *
 * @throws {HoldfastError} ERR_INVALID_OPTION
 */
export function complete(settings: CircuitBreakerSettings): Complete<CircuitBreakerSettings> {
  const all = withDefaults<Complete<CircuitBreakerSettings>>(CLIENT_DEFAULTS.circuitBreaker, settings)
  const { openMs } = all
  const maxOpenMs = settings.maxOpenMs ?? Math.max(all.maxOpenMs, openMs)
  if (maxOpenMs < openMs) throw invalidOption('circuitBreaker.maxOpenMs', `>= openMs (${openMs})`, maxOpenMs)
  return { ...all, maxOpenMs }
}
