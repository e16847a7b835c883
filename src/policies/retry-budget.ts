import { BoundedMap } from '../structures/bounded-map.ts'
import { systemClock, type Clock } from '../primitives/clock.ts'
import { ordered } from '../core/composition.ts'
import { CLIENT_DEFAULTS } from '../primitives/client-defaults.ts'
import { directPolicy, type Start } from '../core/direct.ts'
import { withDefaults, type Complete } from '../primitives/options.ts'
import type { AttemptBudget, Context, Policy } from '../core/policy.ts'
import { checkNumber, checkOptions, checkPositive, unchecked, type Rules } from '../primitives/validate.ts'

export interface RetryBudgetSettings {
  /** Tokens that a successful call earns. Default 0.1. */
  perSuccess?: number | undefined
  /** Tokens that a retry or a hedge costs; given back when the call succeeds. Default 1. */
  perRetry?: number | undefined
  /** Tokens that come with time, so that a quiet client can retry at all. Default 1. */
  perMinute?: number | undefined
  /** The most tokens there can be, and how many there are at the start. Default 10. */
  capacity?: number | undefined
}

export interface RetryBudgetOptions extends RetryBudgetSettings {
  /** Calls with the same key share a budget. Default: that of the execution, so all calls share one unless told. */
  key?: ((context: Context) => string) | undefined
  /** How many budgets are kept; full ones are forgotten first. Default 1000. */
  maxKeys?: number | undefined
  clock?: Clock | undefined
}

/** A budget as its owner sees it. */
export interface RetryBudget {
  readonly key: string
  readonly tokens: number
}

/** Sums of tenths are not exact in binary: ten successes must pay for a retry. */
const ROUNDING = 1e-9
const MINUTE_MS = 60_000

/**
 * Tokens that successes earn and extra attempts cost. Funded by successes it lets a dead service be: a budget funded
 * by requests keeps multiplying the load of an outage (Bronson et al., "Metastable Failures in Distributed Systems",
 * HotOS 2021).
 */
export class TokenBudget implements AttemptBudget, RetryBudget {
  readonly key: string
  readonly #settings: Complete<RetryBudgetSettings>
  readonly #clock: Clock
  #tokens: number
  #updatedMs: number

  constructor(key: string, settings: Complete<RetryBudgetSettings>, clock: Clock) {
    this.key = key
    this.#settings = settings
    this.#clock = clock
    this.#tokens = settings.capacity
    this.#updatedMs = clock.now()
  }

  get tokens(): number {
    const nowMs = this.#clock.now()
    this.#add(((nowMs - this.#updatedMs) / MINUTE_MS) * this.#settings.perMinute)
    this.#updatedMs = nowMs
    return this.#tokens
  }

  get isFull(): boolean {
    return this.tokens + ROUNDING >= this.#settings.capacity
  }

  tryTake(): boolean {
    if (this.tokens + ROUNDING < this.#settings.perRetry) return false
    this.#tokens = Math.max(0, this.#tokens - this.#settings.perRetry)
    return true
  }

  giveBack(): void {
    this.#add(this.#settings.perRetry)
  }

  succeeded(extraAttempts: number): void {
    this.#add(this.#settings.perSuccess + extraAttempts * this.#settings.perRetry)
  }

  #add(tokens: number): void {
    this.#tokens = Math.min(this.#settings.capacity, this.#tokens + tokens)
  }
}

export const BUDGET_RULES: Rules<RetryBudgetSettings> = {
  perSuccess: checkNumber,
  perRetry: checkPositive,
  perMinute: checkNumber,
  capacity: checkNumber,
}

/** Budgets by key; the oldest full ones are forgotten first, since a new one is full too. */
export class RetryBudgets implements Iterable<RetryBudget> {
  readonly settings: Complete<RetryBudgetSettings>
  readonly #budgets: BoundedMap<TokenBudget>

  constructor(settings: RetryBudgetSettings, maxKeys: number, clock: Clock) {
    this.settings = withDefaults<Complete<RetryBudgetSettings>>(CLIENT_DEFAULTS.retryBudget, settings)
    this.#budgets = new BoundedMap(
      maxKeys,
      (key) => new TokenBudget(key, this.settings, clock),
      (budget) => budget.isFull,
    )
  }

  get(key: string): TokenBudget {
    return this.#budgets.get(key)
  }

  [Symbol.iterator](): Iterator<TokenBudget> {
    return this.#budgets[Symbol.iterator]()
  }
}

/**
 * Lends a budget to the retries and hedges inside it: stands outside `retry`.
 *
 * @throws {HoldfastError} ERR_INVALID_OPTION
 */
export function retryBudget(options: RetryBudgetOptions = {}): Policy {
  checkOptions('retryBudget', options, {
    ...BUDGET_RULES,
    key: unchecked,
    maxKeys: unchecked,
    clock: unchecked,
  })
  const { key, maxKeys = CLIENT_DEFAULTS.circuitBreaker.maxCircuits, clock = systemClock } = options
  return ordered(lendBudget(new RetryBudgets(options, maxKeys, clock), key))
}

export function lendBudget(budgets: RetryBudgets, key?: RetryBudgetOptions['key']): Policy {
  return directPolicy(
    { name: 'retry-budget', settings: { ...budgets.settings } },
    <T>(start: Start<T>): Start<T> =>
      (context, receiver) =>
        start(context.paidFrom(budgets.get(key?.(context) ?? context.execution.key)), receiver),
  )
}
