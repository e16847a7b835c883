import { ordered } from '../core/composition.ts'
import { systemClock, type Clock } from '../primitives/clock.ts'
import { CLIENT_DEFAULTS } from '../primitives/client-defaults.ts'
import { delay } from '../primitives/delay.ts'
import { begin, directPolicy, failed, Settler, startOf, type Receiver, type Start } from '../core/direct.ts'
import { isLocalRejection } from '../primitives/errors.ts'
import { withDefaults, type Complete } from '../primitives/options.ts'
import { emit } from '../core/emit.ts'
import type { EventResult, GiveUpReason } from '../core/events.ts'
import { resultOf, type Context, type Outcome, type Policy, type OnEvent } from '../core/policy.ts'
import { systemRandom, type Random } from '../primitives/random.ts'
import { Scope } from '../primitives/signal.ts'
import { checkFunction, checkInteger, checkOptions, unchecked } from '../primitives/validate.ts'
import { backoff, BACKOFF_RULES, type Backoff, type BackoffOptions } from './backoff.ts'

/** What to do with an outcome. */
export type RetryDecision =
  /** A success, or an answer that asking again cannot change: it earns for the budget. */
  | { readonly kind: 'accept' }
  /** A failure that must not be tried again. */
  | { readonly kind: 'stop'; readonly reason: GiveUpReason }
  | {
      readonly kind: 'retry'
      /** A lower bound of the delay, as from Retry-After. */
      readonly minDelayMs?: number | undefined
      /** A wait for an answer that is on its way: it costs neither a retry nor a token. */
      readonly free?: boolean
      /** When the next attempt would come too late, in `clock.now()` terms. */
      readonly notAfterMs?: number
    }

export interface RetryOptions<Value = unknown> extends BackoffOptions {
  /** Further attempts after the first. Default 4. */
  maxRetries?: number | undefined
  /** Whether to try again. Default: after any throw. Never asked about the caller's abort, an open circuit or a full bulkhead. */
  shouldRetry?:
    | ((
        outcome: Outcome<Value>,
        context: Context,
      ) => boolean | RetryDecision | Promise<boolean | RetryDecision>)
    | undefined
  /** Called with a result that is tried again, to free what it holds. */
  discard?: ((value: Value) => void) | undefined
  /** Called once a delay is settled, before it begins. */
  onDelay?: ((delayMs: number, context: Context) => void) | undefined
  /** What an event may tell of an outcome. Default: its error. */
  describe?: ((outcome: Outcome<Value>) => EventResult) | undefined
  clock?: Clock | undefined
  random?: Random | undefined
  onEvent?: OnEvent | undefined
}

export const ACCEPT: RetryDecision = { kind: 'accept' }
export const FINAL: RetryDecision = { kind: 'stop', reason: 'final' }
const RETRY: RetryDecision = { kind: 'retry' }

/**
 * Tries again after exponentially growing, jittered delays: 1 s, 2 s, 4 s, 8 s. When it gives up, the last result is
 * returned or the last error thrown, as it is.
 *
 * @example
 * await pipeline(retry({ maxRetries: 2 })).execute(() => flakyCall())
 * @throws {HoldfastError} ERR_INVALID_OPTION
 */
export function retry<Value = unknown>(options: RetryOptions<Value> = {}): Policy<Value> {
  checkOptions('retry', options, {
    maxRetries: checkInteger,
    ...BACKOFF_RULES,
    shouldRetry: checkFunction,
    discard: unchecked,
    onDelay: unchecked,
    describe: unchecked,
    clock: unchecked,
    random: unchecked,
    onEvent: unchecked,
  })
  return ordered(retryBy(options))
}

/** The attempts of a call whose value may turn out to be a failure later: a response whose body breaks. */
export interface Attempts<T> {
  /** The number of the newest one. */
  readonly attempt: number
  /** Goes on within `context` as if the newest attempt had failed with `error`. */
  failedLate(error: unknown, context: Context): Promise<T>
}

/** Makes of a value what the caller gets, and may come back to the attempts that led to it. */
export type Keep<Value> = (value: Value, context: Context, attempts: Attempts<Value>) => Promise<Value>

/**
 * The policy of options that were checked.
 *
 * @param keep for values that may fail late; each attempt then has a scope of its own, to be broken off by
 */
export function retryBy<Value>(options: RetryOptions<Value>, keep?: Keep<Value>): Policy<Value> {
  const settings: Settings<Value> = {
    options,
    keep,
    maxRetries: options.maxRetries ?? CLIENT_DEFAULTS.retry.maxRetries,
    clock: options.clock ?? systemClock,
    backoff: backoff(options, options.random ?? systemRandom),
  }
  const { baseDelayMs, factor, maxDelayMs, jitter } = withDefaults<Complete<BackoffOptions>>(
    CLIENT_DEFAULTS.retry,
    options,
  )
  return directPolicy(
    {
      name: 'retry',
      settings: { maxRetries: settings.maxRetries, baseDelayMs, factor, maxDelayMs, jitter },
    },
    <T extends Value>(start: Start<T>): Start<T> =>
      (context, receiver) => {
        if (keep === undefined) new RetryLoop<Value, T>(settings, start, context, receiver).begin()
        else beginKept(keep, settings, start, context, receiver)
      },
  )
}

function beginKept<Value, T extends Value>(
  keep: Keep<Value>,
  settings: Settings<Value>,
  start: Start<T>,
  context: Context,
  receiver: Receiver<T>,
): void {
  const loop: RetryLoop<Value, T> = new RetryLoop(settings, start, context, {
    // What is kept of a value stands for it.
    end(outcome) {
      if (outcome.ok) startOf(() => keep(outcome.value, context, loop) as Promise<T>)(context, receiver)
      else receiver.end(outcome)
    },
  })
  loop.begin()
}

interface Settings<Value> {
  readonly options: RetryOptions<Value>
  readonly keep: Keep<Value> | undefined
  readonly maxRetries: number
  readonly clock: Clock
  readonly backoff: Backoff
}

/** One call's attempts: `receiver` is told how the last of them ended. */
class RetryLoop<Value, T extends Value> implements Attempts<T>, Receiver<T> {
  attempt = 0
  readonly #settings: Settings<Value>
  readonly #start: Start<T>
  #receiver: Receiver<T>
  #context: Context
  /** Of the newest attempt. */
  #current: Context
  #retries = 0
  /** Waits for an answer that is on its way; they count apart, since they cost nothing. */
  #waits = 0
  #previousDelayMs: number | undefined

  constructor(settings: Settings<Value>, start: Start<T>, context: Context, receiver: Receiver<T>) {
    this.#settings = settings
    this.#start = start
    this.#receiver = receiver
    this.#context = this.#current = context
  }

  begin(): void {
    this.attempt++
    this.#current = this.#attemptContext()
    begin(this.#start, this.#current, this)
  }

  failedLate(error: unknown, context: Context): Promise<T> {
    return new Promise((resolve, reject) => {
      this.#receiver = new Settler(resolve, reject)
      this.#context = context
      this.#current = this.#attemptContext()
      this.#ended(failed(error))
    })
  }

  end(outcome: Outcome<T>): void {
    const { scope, execution } = this.#current
    if (outcome.ok) this.#ended(outcome)
    // The call's own end, by the caller or the deadline, is no failed attempt.
    else if (scope.aborted) this.#reject(scope.reason)
    else if (isLocalRejection(outcome.error)) this.#reject(withCause(outcome.error, execution.lastFailure))
    else this.#ended(outcome)
  }

  #reject(error: unknown): void {
    this.#receiver.end(failed(error))
  }

  #attemptContext(): Context {
    const context = this.#context.forAttempt(this.attempt)
    if (this.#settings.keep === undefined) return context
    return context.within(new Scope(context.scope), context.deadline)
  }

  /** What is accepted at once, as nearly everything is, waits for no further promise: that saves 300 ns. */
  #ended(outcome: Outcome<T>): void {
    try {
      const decision = this.#decide(outcome)
      if ('kind' in decision && decision.kind === 'accept') this.#accept(outcome)
      else this.#goOn(decision, outcome).catch((error: unknown) => this.#fail(outcome, error))
    } catch (error) {
      // A rule of the caller's may throw before it returns a promise.
      this.#fail(outcome, error)
    }
  }

  /** By what a rule or a jitter of the caller's has thrown: nobody will read what came. */
  #fail(outcome: Outcome<T>, error: unknown): void {
    this.#discard(outcome)
    this.#reject(error)
  }

  #discard(outcome: Outcome<T>): void {
    if (outcome.ok) this.#settings.options.discard?.(outcome.value)
  }

  async #goOn(decided: RetryDecision | Promise<RetryDecision>, outcome: Outcome<T>): Promise<void> {
    const decision = await decided
    if (decision.kind === 'accept') return this.#accept(outcome)
    // The call may have ended before its rule has: nothing more is paid or told, and what came is freed outside.
    if (this.#current.scope.aborted) return this.#receiver.end(outcome)
    this.#context.execution.lastFailure = outcome
    const plan = this.#plan(decision)
    if (typeof plan === 'string') {
      this.#tell(outcome, { type: 'give-up', reason: plan })
      return this.#receiver.end(outcome)
    }
    this.#tell(outcome, { type: 'retry', delayMs: plan })
    this.#previousDelayMs = plan
    const { clock, options } = this.#settings
    const { scope } = this.#current
    options.onDelay?.(plan, this.#current)
    this.#discard(outcome)
    delay(clock, plan, scope)
      // A process that was stopped meanwhile may wake too late: the timer that ends the call is due, and goes off first.
      .then<unknown>(() => clock.now() < this.#context.deadline || delay(clock, 1, scope))
      .then(
        () => this.begin(),
        (error: unknown) => this.#reject(error),
      )
  }

  #accept(outcome: Outcome<T>): void {
    this.#context.budget?.succeeded(this.#retries)
    this.#receiver.end(outcome)
  }

  #decide(outcome: Outcome<T>): RetryDecision | Promise<RetryDecision> {
    const { shouldRetry } = this.#settings.options
    if (shouldRetry === undefined) return outcome.ok ? ACCEPT : RETRY
    const answer = shouldRetry(outcome, this.#current)
    if (typeof answer !== 'object') return decisionOf(answer, outcome)
    return 'kind' in answer ? answer : decisionLater(answer, outcome)
  }

  /**
   * The delay before the next attempt, or why there is none. Everything that can be known is asked here, while the
   * last result is still whole.
   */
  #plan(decision: Exclude<RetryDecision, { kind: 'accept' }>): number | GiveUpReason {
    if (decision.kind === 'stop') return decision.reason
    const free = decision.free === true
    const { maxRetries, clock } = this.#settings
    if (!free && this.#retries >= maxRetries) return 'exhausted'
    const count = (free ? this.#waits : this.#retries) + 1
    const delayMs = Math.max(this.#settings.backoff(count, this.#previousDelayMs), decision.minDelayMs ?? 0)
    const latestMs = Math.min(this.#context.deadline, decision.notAfterMs ?? Infinity)
    if (clock.now() + delayMs >= latestMs) return 'deadline'
    if (!free && this.#context.budget?.tryTake() === false) return 'budget'
    if (free) this.#waits++
    else this.#retries++
    return delayMs
  }

  #tell(outcome: Outcome<T>, event: RetryEvent): void {
    const context = this.#current
    // The listener that `emit` would find, looked up first: without one there is nothing to describe.
    const { onEvent = context.execution.onEvent, describe } = this.#settings.options
    if (onEvent === undefined) return
    const result = describe?.(outcome) ?? (outcome.ok ? {} : { error: outcome.error })
    emit(onEvent, { ...event, ...result, attempt: context.attempt }, context)
  }
}

function decisionOf(given: boolean | RetryDecision, { ok }: Outcome): RetryDecision {
  if (typeof given === 'object') return given
  if (given) return RETRY
  return ok ? ACCEPT : FINAL
}

/** What closes over its arguments takes 90 bytes a call, also where it is not used: that is why it is by itself. */
async function decisionLater(
  answer: Promise<boolean | RetryDecision>,
  outcome: Outcome,
): Promise<RetryDecision> {
  return decisionOf(await answer, outcome)
}

type RetryEvent = { type: 'retry'; delayMs: number } | { type: 'give-up'; reason: GiveUpReason }

function withCause(error: Error, failure: Outcome | undefined): Error {
  if (failure !== undefined && error.cause === undefined) error.cause = resultOf(failure)
  return error
}
