import type { Scope } from './signal.ts'

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

/** Pays for extra attempts; `retryBudget()` lends one to every policy inside it. */
export interface AttemptBudget {
  /** Takes the price of one extra attempt, or refuses. */
  tryTake(): boolean
  /** The call has succeeded: earns, and gives back what its `extraAttempts` cost. */
  succeeded(extraAttempts: number): void
}

/** The function at the heart of a pipeline. */
export type Operation = (context: Context) => Promise<unknown>

/**
 * What a policy hands to the next one. It is immutable: a policy that changes something passes on a derived context.
 */
export class Context {
  readonly operation: Operation
  /** The span of work this belongs to; `scope.aborted` is the cheap way to ask whether it should stop. */
  readonly scope: Scope
  /** What an embedding client knows of the call; policies pass it on unread. */
  readonly data: unknown
  /** When the strictest timeout outside ends this, in `clock.now()` terms; `Infinity` without one. */
  readonly deadline: number
  readonly budget: AttemptBudget | undefined
  /** 1 for the first attempt, 2 for the first retry. */
  readonly attempt: number
  /** How the attempt before this one ended. */
  readonly previous: Outcome | undefined

  constructor(
    operation: Operation,
    scope: Scope,
    data?: unknown,
    deadline: number = Infinity,
    budget?: AttemptBudget,
    attempt: number = 1,
    previous?: Outcome,
  ) {
    this.operation = operation
    this.scope = scope
    this.data = data
    this.deadline = deadline
    this.budget = budget
    this.attempt = attempt
    this.previous = previous
  }

  /** Aborts when this work should stop. Reading it creates an `AbortController`. */
  get signal(): AbortSignal {
    return this.scope.signal
  }

  within(scope: Scope, deadline: number): Context {
    return new Context(this.operation, scope, this.data, deadline, this.budget, this.attempt, this.previous)
  }

  paidFrom(budget: AttemptBudget): Context {
    return new Context(
      this.operation,
      this.scope,
      this.data,
      this.deadline,
      budget,
      this.attempt,
      this.previous,
    )
  }

  forAttempt(attempt: number, previous: Outcome | undefined): Context {
    return new Context(this.operation, this.scope, this.data, this.deadline, this.budget, attempt, previous)
  }
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
  wrap<T extends Value>(next: Next<T>): Next<T>
}
