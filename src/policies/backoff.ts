import { CLIENT_DEFAULTS } from '../primitives/client-defaults.ts'
import { withDefaults, type Complete } from '../primitives/options.ts'
import { uniform, type Random } from '../primitives/random.ts'
import {
  checkFunction,
  checkNumber,
  checkPositive,
  invalidOption,
  oneOf,
  type Rules,
} from '../primitives/validate.ts'

/** What a custom jitter decides from. */
export interface JitterInput {
  /** The exponential delay, capped: what 'none' would wait. */
  readonly delayMs: number
  /** What the call waited last time; `undefined` before the first retry. */
  readonly previousDelayMs: number | undefined
  /** 1 for the first retry. */
  readonly retry: number
  readonly random: Random
}

/**
 * How chance spreads the retries of many clients. A number j is ±j around the delay, kept above the cap.
 *
 * Named ones: Brooker, "Exponential Backoff and Jitter", AWS Architecture Blog, 2015.
 */
export type Jitter = number | 'full' | 'equal' | 'decorrelated' | 'none' | ((input: JitterInput) => number)

export interface BackoffOptions {
  /** The first delay. Default 1000. */
  baseDelayMs?: number | undefined
  /** What each further delay is multiplied by. Default 2. */
  factor?: number | undefined
  /** The cap of the exponential delay; jitter comes after it. Default 30,000. */
  maxDelayMs?: number | undefined
  /** Default 0.25: ±25 %. */
  jitter?: Jitter | undefined
}

/** Gives the delay before a retry. `retry` is 1 for the first one. */
export type Backoff = (retry: number, previousDelayMs?: number) => number

interface Limits {
  readonly baseDelayMs: number
  readonly maxDelayMs: number
}

type JitterStrategy = (input: JitterInput, limits: Limits) => number

const NAMED: Record<'full' | 'equal' | 'decorrelated' | 'none', JitterStrategy> = {
  none: ({ delayMs }) => delayMs,
  full: ({ delayMs, random }) => uniform(random, 0, delayMs),
  equal: ({ delayMs, random }) => delayMs / 2 + uniform(random, 0, delayMs / 2),
  decorrelated: ({ previousDelayMs, random }, { baseDelayMs, maxDelayMs }) =>
    Math.min(maxDelayMs, uniform(random, baseDelayMs, 3 * Math.max(baseDelayMs, previousDelayMs ?? 0))),
}

function strategyOf(jitter: Jitter): JitterStrategy {
  if (typeof jitter === 'function') return (input) => checkedDelay(jitter(input))
  if (typeof jitter === 'string') return NAMED[jitter]
  return ({ delayMs, random }) => uniform(random, delayMs * (1 - jitter), delayMs * (1 + jitter))
}

/** A custom jitter is foreign code: a NaN from it must not become an instant retry. */
function checkedDelay(delayMs: number): number {
  checkNumber('what jitter() returns', delayMs)
  return delayMs
}

function checkJitter(name: string, jitter: unknown): void {
  if (typeof jitter === 'number') {
    if (!(jitter >= 0 && jitter <= 1)) throw invalidOption(name, 'in [0, 1]', jitter)
  } else if (typeof jitter === 'string') oneOf(...Object.keys(NAMED))(name, jitter)
  else checkFunction(name, jitter)
}

export const BACKOFF_RULES: Rules<BackoffOptions> = {
  baseDelayMs: checkNumber,
  factor: (name, value) => checkNumber(name, value, 1),
  maxDelayMs: checkPositive,
  jitter: checkJitter,
}

/** Exponential backoff: `min(maxDelayMs, baseDelayMs * factor ** (retry - 1))`, then jitter. */
export function backoff(options: BackoffOptions, random: Random): Backoff {
  const { baseDelayMs, factor, maxDelayMs, jitter } = withDefaults<Complete<BackoffOptions>>(
    CLIENT_DEFAULTS.retry,
    options,
  )
  const spread = strategyOf(jitter)
  const limits = { baseDelayMs, maxDelayMs }
  return (retry, previousDelayMs) => {
    // The power is clamped first: it overflows to Infinity at high counts, and 0 * Infinity is NaN.
    const growth = Math.min(factor ** (retry - 1), Number.MAX_VALUE)
    const delayMs = Math.min(maxDelayMs, baseDelayMs * growth)
    return spread({ delayMs, previousDelayMs, retry, random }, limits)
  }
}
