import { systemClock, type Clock } from '../primitives/clock.ts'
import { CLIENT_DEFAULTS } from '../primitives/client-defaults.ts'
import { emit } from '../core/emit.ts'
import { originOf } from '../http/parsed-url.ts'
import { CircuitStore } from '../policies/circuit-breaker/guard.ts'
import { RetryBudgets } from '../policies/retry-budget.ts'
import type { Policy } from '../core/policy.ts'
import { systemRandom, type Random } from '../primitives/random.ts'
import type { SharedParts } from './assemble.ts'
import type { CallParts } from './call.ts'
import { bulkheadPolicy, hedgePolicy } from './optional-policies.ts'
import type { FetchOptions } from './options.ts'
import type { Settings } from './settings/settings.ts'
import { Listeners } from './listeners.ts'
import { Sender } from './transport.ts'

/** What all fetches derived from one `createFetch` share. What the constructor sets is only declared: a field costs code. */
export class ClientState implements SharedParts, CallParts {
  declare readonly clock: Clock
  declare readonly random: Random
  declare readonly sender: Sender
  declare readonly circuits: CircuitStore
  declare readonly budgets: RetryBudgets
  declare readonly bulkhead: Policy<Response> | undefined
  declare readonly hedge: Policy<Response> | undefined
  /** Told what happens to circuits, which belong to no call. */
  declare readonly circuitListeners: Listeners
  /** Origins that have shown that they know keys. */
  readonly supporting: Set<string> = new Set()

  constructor(options: FetchOptions, settings: Settings) {
    this.clock = options.clock ?? systemClock
    this.random = options.random ?? systemRandom
    this.circuitListeners = new Listeners([settings.onEvent])
    this.sender = new Sender(settings.transport)
    const { maxCircuits = CLIENT_DEFAULTS.circuitBreaker.maxCircuits, ...breaker } =
      settings.circuitBreaker ?? {}
    this.circuits = new CircuitStore(
      {
        ...breaker,
        maxCircuits,
        clock: this.clock,
        random: this.random,
        onEvent: (event) => emit(this.circuitListeners.current, event),
      },
      breaker.key === undefined ? originOf : undefined,
    )
    this.budgets = new RetryBudgets(settings.retryBudget ?? {}, maxCircuits, this.clock)
    this.bulkhead = settings.bulkhead && bulkheadPolicy(settings.bulkhead, maxCircuits, this.clock)
    this.hedge = settings.hedge && hedgePolicy(settings.hedge, maxCircuits, this.clock)
  }
}
