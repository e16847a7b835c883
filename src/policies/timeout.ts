import { ordered } from '../composition.ts'
import { systemClock, type Clock, type Timer } from '../clock.ts'
import { TimeoutError } from '../errors.ts'
import { emit } from '../emit.ts'
import { resultOf, type Context, type Next, type Policy, type OnEvent } from '../policy.ts'
import { Scope, type AbortedBy } from '../signal.ts'
import { checkKeys, checkPositive, invalidOption } from '../validate.ts'

export interface TimeoutOptions {
  /** Ends one attempt; stands inside `retry`, whose next attempt gets the full time again. */
  attemptMs?: number
  /** Ends the whole call, retries and waits included; stands outside `retry`. */
  totalMs?: number
  /** Called with a result that comes too late, to free what it holds. */
  discard?: (value: unknown) => void
  clock?: Clock
  onEvent?: OnEvent
}

/** What tells the two timeouts apart. */
interface Kind {
  readonly kind: 'attempt' | 'total'
  readonly code: 'ERR_ATTEMPT_TIMEOUT' | 'ERR_TOTAL_TIMEOUT'
  readonly what: string
}

const ATTEMPT: Kind = { kind: 'attempt', code: 'ERR_ATTEMPT_TIMEOUT', what: 'the attempt' }
const TOTAL: Kind = { kind: 'total', code: 'ERR_TOTAL_TIMEOUT', what: 'the call, its retries included,' }

/**
 * Ends what takes too long: aborts `signal` and rejects with a `TimeoutError` at once, even where the function ignores
 * the signal. Exactly one of `attemptMs` and `totalMs`.
 *
 * @throws {HoldfastError} ERR_INVALID_OPTION
 */
export function timeout(options: TimeoutOptions): Policy {
  checkKeys('timeout', options, ['attemptMs', 'totalMs', 'discard', 'clock', 'onEvent'])
  const { attemptMs, totalMs } = options
  if ((attemptMs === undefined) === (totalMs === undefined)) {
    throw invalidOption(
      'timeout',
      'given either attemptMs (inside retry) or totalMs (outside retry)',
      options,
    )
  }
  checkPositive(`timeout.${attemptMs === undefined ? 'total' : 'attempt'}Ms`, attemptMs ?? totalMs)
  return ordered(timeoutBy(options))
}

/** The policy of options that were checked. */
export function timeoutBy(options: TimeoutOptions): Policy {
  const { attemptMs, totalMs = Infinity } = options
  return attemptMs === undefined
    ? new TimeoutPolicy(TOTAL, totalMs, options)
    : new TimeoutPolicy(ATTEMPT, attemptMs, options)
}

/** Whoever waits for the work in it hears of its end at once. */
class TimedScope extends Scope {
  timer: Timer | undefined
  readonly #kind: Kind
  readonly #reject: (reason: unknown) => void

  constructor(kind: Kind, reject: (reason: unknown) => void) {
    super()
    this.#kind = kind
    this.#reject = reject
  }

  override get endsAttempt(): boolean {
    return this.#kind === ATTEMPT
  }

  override abort(reason: unknown, by: AbortedBy): void {
    this.stopTimer()
    super.abort(reason, by)
    this.#reject(this.reason)
  }

  /** Once only: it may be another call's by then. */
  stopTimer(): void {
    this.timer?.cancel()
    this.timer = undefined
  }
}

class TimeoutPolicy implements Policy {
  readonly name: string
  readonly settings: Readonly<Record<string, unknown>>
  readonly #kind: Kind
  readonly #timeoutMs: number
  readonly #clock: Clock
  readonly #options: TimeoutOptions

  constructor(kind: Kind, timeoutMs: number, options: TimeoutOptions) {
    this.name = `${kind.kind}-timeout`
    this.settings = { [`${kind.kind}Ms`]: timeoutMs }
    this.#kind = kind
    this.#timeoutMs = timeoutMs
    this.#clock = options.clock ?? systemClock
    this.#options = options
  }

  wrap<T>(next: Next<T>): Next<T> {
    return (context) => {
      const endMs = this.#clock.now() + this.#timeoutMs
      // An outer timeout that ends no later wins: no second timer, and never an attempt timeout in its place.
      if (endMs >= context.deadline) return next(context)
      return this.#run(next, context, endMs)
    }
  }

  #run<T>(next: Next<T>, context: Context, endMs: number): Promise<T> {
    return new Promise<T>((resolve, reject) => {
      const scope = new TimedScope(this.#kind, reject)
      scope.timer = this.#clock.schedule(
        () => scope.abort(this.#timeUp(context), 'timeout'),
        this.#timeoutMs,
        { dueMs: endMs },
      )
      scope.moveUnder(context.scope)
      next(context.within(scope, endMs)).then(
        (value) => {
          scope.stopTimer()
          if (scope.aborted) this.#options.discard?.(value)
          return resolve(value)
        },
        (error: unknown) => {
          scope.stopTimer()
          // oxlint-disable-next-line promise/prefer-promise-reject-errors -- passed on as it came
          reject(error)
        },
      )
    })
  }

  #timeUp(context: Context): TimeoutError {
    const { kind, code, what } = this.#kind
    emit(this.#options.onEvent, { type: 'timeout', kind, timeoutMs: this.#timeoutMs }, context)
    const { lastFailure } = context.execution
    const options = lastFailure === undefined ? undefined : { cause: resultOf(lastFailure) }
    return new TimeoutError(code, `${what} took longer than ${this.#timeoutMs} ms`, this.#timeoutMs, options)
  }
}
