import { beginAt, nowIn } from '../core/beginning.ts'
import { ordered } from '../core/composition.ts'
import { systemClock, type Clock, type Timer } from '../primitives/clock.ts'
import { directPolicy, type Receiver, type Start } from '../core/direct.ts'
import { TimeoutError } from '../primitives/errors.ts'
import { emit } from '../core/emit.ts'
import { EndingScope } from '../core/ending-scope.ts'
import { causeOf, type Context, type OnEvent, type Policy } from '../core/policy.ts'
import { checkKeys, checkPositive, invalidOption } from '../primitives/validate.ts'

export interface TimeoutOptions {
  /** Ends one attempt; stands inside `retry`, whose next attempt gets the full time again. */
  attemptMs?: number | undefined
  /** Ends the whole call, retries and waits included; stands outside `retry`. */
  totalMs?: number | undefined
  /** Called with a result that comes too late, to free what it holds. */
  discard?: ((value: unknown) => void) | undefined
  clock?: Clock | undefined
  onEvent?: OnEvent | undefined
}

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
  const { attemptMs, totalMs = Infinity, clock = systemClock, discard, onEvent } = options
  const isOfAttempt = attemptMs !== undefined
  const timeoutMs = attemptMs ?? totalMs
  const kind = isOfAttempt ? 'attempt' : 'total'

  function timeUp(context: Context): TimeoutError {
    emit(onEvent, { type: 'timeout', kind, timeoutMs }, context)
    const what = isOfAttempt ? 'the attempt' : 'the call with its retries'
    const code = isOfAttempt ? 'ERR_ATTEMPT_TIMEOUT' : 'ERR_TOTAL_TIMEOUT'
    return new TimeoutError(
      code,
      `${what} took longer than ${timeoutMs} ms`,
      timeoutMs,
      causeOf(context.execution),
    )
  }

  const limited =
    <T>(start: Start<T>): Start<T> =>
    (context, receiver) => {
      const nowMs = nowIn(context.scope, clock)
      const endMs = nowMs + timeoutMs
      // An outer timeout that ends no later wins: no second timer, and never an attempt timeout in its place.
      if (endMs >= context.deadline) return start(context, receiver)
      const scope = new TimedScope(receiver, discard)
      const end = (): void => {
        // The promise below tells a moment after the timer: the attempt may have ended by then.
        if (scope.timer !== undefined) scope.abort(timeUp(context), 'timeout')
      }
      // Whose call it was is what a listener may write down: a timer that calls share would tell of another's.
      const isShared = isOfAttempt || (onEvent ?? context.execution.onEvent) === undefined
      scope.timer = clock.schedule(isOfAttempt ? inThisContext(end) : end, timeoutMs, {
        dueMs: isShared ? endMs : undefined,
      })
      scope.moveUnder(context.scope)
      beginAt(clock, nowMs, start, context.within(scope, endMs), scope)
    }
  const fields = { name: `${kind}-timeout`, settings: { [`${kind}Ms`]: timeoutMs } }
  return directPolicy(fields, limited)
}

/** Whoever hears of an attempt's end may begin another one: not in the async context of a timer. */
function inThisContext(work: () => void): () => void {
  let open!: () => void
  void new Promise<void>((resolve) => (open = resolve)).then(work)
  return open
}

class TimedScope<T> extends EndingScope<T> {
  declare timer: Timer | undefined

  constructor(receiver: Receiver<T>, discard: ((late: T) => void) | undefined) {
    super(receiver, discard)
    this.timer = undefined
  }

  /** Once only: it may be another call's by then. */
  protected override atEnd(): void {
    this.timer?.cancel()
    this.timer = undefined
  }
}
