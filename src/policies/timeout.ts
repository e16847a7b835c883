import { ordered } from '../composition.ts'
import { beginAt, nowIn } from '../beginning.ts'
import { systemClock, wakeAt, type Clock, type Sleeper, type Timer } from '../clock.ts'
import { directPolicy, type Receiver, type Start } from '../direct.ts'
import { TimeoutError } from '../errors.ts'
import { emit } from '../emit.ts'
import { EndingScope } from '../ending-scope.ts'
import { causeOf, type Context, type OnEvent, type Policy } from '../policy.ts'
import { checkKeys, checkPositive, invalidOption } from '../validate.ts'

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

  const rules: TimeoutRules = {
    isOfAttempt,
    discard,
    timeUp(context) {
      emit(onEvent, { type: 'timeout', kind, timeoutMs }, context)
      const what = isOfAttempt ? 'the attempt' : 'the call with its retries'
      const code = isOfAttempt ? 'ERR_ATTEMPT_TIMEOUT' : 'ERR_TOTAL_TIMEOUT'
      return new TimeoutError(
        code,
        `${what} took longer than ${timeoutMs} ms`,
        timeoutMs,
        causeOf(context.execution),
      )
    },
  }

  const limited =
    <T>(start: Start<T>): Start<T> =>
    (context, receiver) => {
      const nowMs = nowIn(context.scope, clock)
      const endMs = nowMs + timeoutMs
      // An outer timeout that ends no later wins: no second timer, and never an attempt timeout in its place.
      if (endMs >= context.deadline) return start(context, receiver)
      const scope = new TimedScope(rules, context, receiver)
      scope.timer = wakeAt(clock, scope, timeoutMs, endMs)
      scope.moveUnder(context.scope)
      beginAt(nowMs, start, context.within(scope, endMs), scope)
    }
  const fields = { name: `${kind}-timeout`, settings: { [`${kind}Ms`]: timeoutMs } }
  return directPolicy(fields, limited)
}

interface TimeoutRules {
  readonly isOfAttempt: boolean
  readonly discard: ((late: unknown) => void) | undefined
  timeUp(context: Context): TimeoutError
}

/** It allocates no closure: three a call took 300 bytes. */
class TimedScope<T> extends EndingScope<T> implements Sleeper {
  declare timer: Timer | undefined
  declare private readonly rules: TimeoutRules
  declare private readonly context: Context
  declare private readonly door: ((scope: Timed) => void) | undefined

  constructor(rules: TimeoutRules, context: Context, receiver: Receiver<T>) {
    super(receiver, rules.discard)
    this.timer = undefined
    this.rules = rules
    this.context = context
    this.door = rules.isOfAttempt ? doorFromHere() : undefined
  }

  wake(): void {
    if (this.door === undefined) this.timeUp()
    else this.door(this)
  }

  timeUp(): void {
    // Through the door it comes a moment after the timer: the attempt may have ended by then.
    if (this.timer !== undefined) this.abort(this.rules.timeUp(this.context), 'timeout')
  }

  /** Once only: it may be another call's by then. */
  protected override atEnd(): void {
    this.timer?.cancel()
    this.timer = undefined
  }
}

type Timed = Pick<TimedScope<unknown>, 'timeUp'>

const timeUp = (scope: Timed): void => scope.timeUp()

let opened!: (scope: Timed) => void
const takeOpener = (open: (scope: Timed) => void): void => {
  opened = open
}

/** Whoever hears of an attempt's end may begin another one: in this async context, and not in that of a timer. */
function doorFromHere(): (scope: Timed) => void {
  void new Promise<Timed>(takeOpener).then(timeUp)
  return opened
}
