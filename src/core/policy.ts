import { isLocalRejection } from '../primitives/errors.ts'
import type { HoldfastEvent } from './events.ts'
import type { Scope } from '../primitives/signal.ts'
import { createStamp, type Stamp } from '../primitives/stamp.ts'

/** How an execution ended. */
export type Outcome<T = unknown> = Success<T> | Failure

export interface Success<T = unknown> {
  readonly ok: true
  readonly value: T
}

export interface Failure {
  readonly ok: false
  readonly error: unknown
}

/** What an outcome tells of the service: it has served, it has failed or refused to, or nothing at all. */
export type Standing = 'served' | 'failed' | 'nothing'

/** Pays for extra attempts; `retryBudget()` lends one to every policy inside it. */
export interface AttemptBudget {
  /** Takes the price of one extra attempt, or refuses. */
  tryTake(): boolean
  /** The call has succeeded: earns, and gives back what its `extraAttempts` cost. */
  succeeded(extraAttempts: number): void
  /** Gives back the price of one extra attempt. */
  giveBack(): void
}

/** The value or the error: what a `cause` shows of an outcome. */
export function resultOf(outcome: Outcome): unknown {
  return outcome.ok ? outcome.value : outcome.error
}

/** For what is to be done in a moment. */
export const soon: Promise<void> = Promise.resolve()

/**
 * A promise that gets rejected in a moment. Rejected from the start it would be told of by the platform as one that
 * nobody handles, and again once somebody does: 500 of 900 ns.
 */
export function rejected(reason: unknown): Promise<never> {
  return new Promise((_, reject) => void soon.then(() => reject(reason)))
}

/** Gives the value or throws the error: an outcome turned back into what made it. */
export function unwrap<T>(outcome: Outcome<T>): T {
  if (outcome.ok) return outcome.value
  throw outcome.error
}

/** A listener. What it throws is swallowed: watching a call never changes it. */
export type OnEvent = (event: HoldfastEvent, context?: Context) => void

export interface ExecutionFields {
  /** What belongs together for policies that keep state: for `createFetch` the key of the circuit. */
  readonly key?: string | undefined
  /** Told what happens to this execution, by policies that have no listener of their own. */
  readonly onEvent?: OnEvent | undefined
  /** What an outcome tells of the service, where more than a throw is a failure: to `createFetch` a 503 is one. */
  readonly judge?: (outcome: Outcome, context: Context) => Standing
}

/** One run of a pipeline: what all of its attempts share. */
export class Execution {
  /** What is to be done: the function given to a pipeline, the call of a client. Policies pass it on unread. */
  readonly data: unknown
  readonly key: string
  readonly onEvent: OnEvent | undefined
  readonly judge: ExecutionFields['judge']
  /** The newest failed attempt: what a timeout or an open circuit that ends the call gives as its cause. */
  lastFailure: Outcome | undefined
  /** How often it has waited at an open circuit: such a wait is no time of the service's. */
  declare parkings?: number

  constructor(data: unknown, { key = 'default', onEvent, judge }: ExecutionFields = {}) {
    this.data = data
    this.key = key
    this.onEvent = onEvent
    this.judge = judge
  }
}

/** What an error gives as the cause of an execution's end: its newest failure, where there is one. */
export function causeOf({ lastFailure }: Execution): { cause: unknown } | undefined {
  return lastFailure && { cause: resultOf(lastFailure) }
}

/**
 * What a policy hands to the next one. It is immutable: a policy that changes something passes on a derived context.
 */
export class Context {
  readonly execution: Execution
  /** The span of work this belongs to; `scope.aborted` is the cheap way to ask whether it should stop. */
  readonly scope: Scope
  /** When the strictest timeout outside ends this, in `clock.now()` terms; `Infinity` without one. */
  readonly deadline: number
  readonly budget: AttemptBudget | undefined
  /** 1 for the first attempt, 2 for the first retry. */
  readonly attempt: number
  /** Whether this is the second of two attempts that run side by side: it may ask another replica. */
  readonly isHedge: boolean

  constructor(
    execution: Execution,
    scope: Scope,
    deadline: number = Infinity,
    budget?: AttemptBudget,
    attempt: number = 1,
    isHedge: boolean = false,
  ) {
    this.execution = execution
    this.scope = scope
    this.deadline = deadline
    this.budget = budget
    this.attempt = attempt
    this.isHedge = isHedge
  }

  /** Aborts when this work should stop. Reading it creates an `AbortController`. */
  get signal(): AbortSignal {
    return this.scope.signal
  }

  within(scope: Scope, deadline: number): Context {
    return new Context(this.execution, scope, deadline, this.budget, this.attempt, this.isHedge)
  }

  paidFrom(budget: AttemptBudget): Context {
    return new Context(this.execution, this.scope, this.deadline, budget, this.attempt, this.isHedge)
  }

  forAttempt(attempt: number): Context {
    // As nearly every first attempt.
    if (attempt === this.attempt) return this
    return new Context(this.execution, this.scope, this.deadline, this.budget, attempt)
  }
}

/** Whether an outcome is no news of the service: it was called off by who wanted it, or refused on this side. */
export function isNoNews(outcome: Outcome, { scope }: Context): boolean {
  return !outcome.ok && (scope.isCalledOff || isLocalRejection(outcome.error))
}

/** For policies that watch a service's state and have no rule of their own. */
export function standingOf(outcome: Outcome, context: Context): Standing {
  if (isNoNews(outcome, context)) return 'nothing'
  const { execution } = context
  return execution.judge?.(outcome, context) ?? (outcome.ok ? 'served' : 'failed')
}

export type Next<T> = (context: Context) => Promise<T>

/**
 * The one seam: what stands around an operation. `Value` narrows the results it can be used for: a `Policy<Response>`
 * fits a fetch only.
 *
 * @example
 * const log: Policy = { name: 'log', wrap: (next) => async (context) => {
 *   console.log('attempt', context.attempt)
 *   return next(context)
 * } }
 */
export interface Policy<Value = unknown> {
  readonly name: string
  /** What it is set to, for `describe()`. */
  readonly settings?: Readonly<Record<string, unknown>>
  wrap<T extends Value>(next: Next<T>): Next<T>
}

/** Refuses policies that are in a wrong order, of a list that the user calls `where`. */
export type OrderCheck = (where: string, policies: readonly Policy<never>[]) => void

/** The check that a built-in policy brings along. */
export const orderCheck: Stamp<OrderCheck> = createStamp()
