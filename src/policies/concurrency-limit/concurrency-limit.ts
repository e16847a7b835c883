import { BoundedMap } from '../../structures/bounded-map.ts'
import { systemClock, type Clock } from '../../primitives/clock.ts'
import { ordered } from '../../core/composition.ts'
import { DEFAULTS } from '../../primitives/defaults.ts'
import { begin, directPolicy, failed, type Receiver, type Start } from '../../core/direct.ts'
import { isHoldfastError } from '../../primitives/errors.ts'
import { BulkheadFullError } from '../../primitives/refusals.ts'
import { withDefaults, type Complete } from '../../primitives/options.ts'
import { isNoNews, standingOf, type Context, type Outcome, type Policy } from '../../core/policy.ts'
import { onTurn, Semaphore } from '../../structures/semaphore.ts'
import {
  checkFunction,
  checkInteger,
  checkKeys,
  checkNumber,
  invalidOption,
} from '../../primitives/validate.ts'
import { AdaptiveLimit, type Ended, type Started } from './adaptive-limit.ts'

export interface ConcurrencyLimitOptions<Value = unknown> {
  /** The limit before anything is known. Default 20. */
  initialLimit?: number | undefined
  /** Never fewer than this. Default 1. */
  minLimit?: number | undefined
  /** Never more than this. Default 200. */
  maxLimit?: number | undefined
  /** How many may wait for a place, in the order in which they came. Default 0: further ones are refused at once. */
  maxQueued?: number | undefined
  /** How many times the unloaded latency is still fine, at least 1. Default 1.5. */
  tolerance?: number | undefined
  /**
   * Whether an outcome says that the service has too much to do; `false`: its latency is measured; 'ignored': it says
   * nothing; `undefined` leaves it to the rules. Default: timeouts do, other failures are ignored, to `createFetch` a 503 among
   * them. Never asked about the
   * caller's abort, and what was rejected on this side.
   */
  isOverload?: ((outcome: Outcome<Value>, context: Context) => boolean | 'ignored' | undefined) | undefined
  /** Executions with the same key share a limit. Default: that of the execution, for `createFetch` the circuit's. */
  key?: ((context: Context) => string) | undefined
  /** How many limits are kept; only those that nobody uses are forgotten. Default 1000. */
  maxKeys?: number | undefined
  clock?: Clock | undefined
}

export interface ConcurrencyLimit<Value = unknown> extends Policy<Value> {
  /** How many run and how many wait just now, and how many may run. */
  places(key?: string): { readonly running: number; readonly queued: number; readonly limit: number }
}

const KEYS = [...Object.keys(DEFAULTS.concurrencyLimit), 'isOverload', 'key', 'maxKeys', 'clock']

type Settings = Complete<
  Pick<ConcurrencyLimitOptions, 'initialLimit' | 'minLimit' | 'maxLimit' | 'maxQueued' | 'tolerance'>
>

/**
 * Finds out how many executions a service can bear at once, from how long they take, and refuses further ones with a
 * `BulkheadFullError`. Stands inside `retry` and outside the breaker and the attempt timeout.
 *
 * @throws {HoldfastError} ERR_INVALID_OPTION
 */
export function concurrencyLimit<Value = unknown>(
  options: ConcurrencyLimitOptions<Value> = {},
): ConcurrencyLimit<Value> {
  const settings = checkedSettings(options)
  const { clock = systemClock, isOverload } = options
  const { key = ({ execution }: Context) => execution.key, maxKeys = DEFAULTS.circuitBreaker.maxCircuits } =
    options
  checkFunction('concurrencyLimit.key', key)
  checkInteger('concurrencyLimit.maxKeys', maxKeys, 1)
  if (isOverload !== undefined) checkFunction('concurrencyLimit.isOverload', isOverload)
  const lanes = new BoundedMap<Lane>(
    maxKeys,
    (name) => new Lane(name, settings, clock),
    ({ places }) => places.isIdle,
  )
  const fields = {
    name: 'concurrency-limit',
    settings,
    places(of = 'default') {
      const { running, queued, limit } = lanes.get(of).places
      return { running, queued, limit }
    },
  }
  return ordered(
    directPolicy<Value, typeof fields>(fields, <T extends Value>(start: Start<T>): Start<T> => {
      return (context, receiver) => {
        const { execution } = context
        const { parkings } = execution
        lanes.get(key(context)).enter(start, context, receiver, (outcome) =>
          // A wait for a circuit to close says nothing of how long work takes.
          execution.parkings === parkings ? judge(outcome, context, isOverload) : 'ignored',
        )
      }
    }),
  )
}

function checkedSettings(options: ConcurrencyLimitOptions<never>): Settings {
  checkKeys('concurrencyLimit', options, KEYS)
  const settings = withDefaults<Settings>(DEFAULTS.concurrencyLimit, options)
  const { initialLimit, minLimit, maxLimit, maxQueued, tolerance } = settings
  checkInteger('concurrencyLimit.minLimit', minLimit, 1)
  checkInteger('concurrencyLimit.maxLimit', maxLimit, minLimit)
  checkInteger('concurrencyLimit.initialLimit', initialLimit, minLimit)
  if (initialLimit > maxLimit)
    throw invalidOption('concurrencyLimit.initialLimit', `<= maxLimit (${maxLimit})`, initialLimit)
  checkInteger('concurrencyLimit.maxQueued', maxQueued)
  checkNumber('concurrencyLimit.tolerance', tolerance, 1)
  return settings
}

type JudgeOutcome<T> = (outcome: Outcome<T>) => Ended | 'ignored'

/** What the executions of one key share. */
class Lane {
  readonly places: Semaphore
  readonly #key: string
  readonly #limit: AdaptiveLimit

  constructor(key: string, settings: Settings, clock: Clock) {
    this.#key = key
    this.#limit = new AdaptiveLimit(settings, clock)
    this.places = new Semaphore(this.#limit.limit, settings.maxQueued, clock)
  }

  enter<T>(start: Start<T>, context: Context, receiver: Receiver<T>, judgeOutcome: JudgeOutcome<T>): void {
    const turn = this.places.enter(context.scope, () => this.#fullError(), context.deadline)
    const go = (): void => {
      const started = this.#limit.start(this.places.running)
      begin(start, context, { end: (outcome) => this.#end(started, judgeOutcome, outcome, receiver) })
    }
    onTurn(turn, (error) => receiver.end(failed(error)), go)
  }

  /** Told before the next one is let in: that may be a hedge of the same execution, which nobody needs any more. */
  #end<T>(started: Started, judgeOutcome: JudgeOutcome<T>, outcome: Outcome<T>, receiver: Receiver<T>): void {
    try {
      receiver.end(this.#sampled(started, judgeOutcome, outcome))
    } finally {
      // The new limit first: the place that gets free may be one too many.
      this.places.limit = this.#limit.limit
      this.places.leave()
    }
  }

  /** A rule of the caller's may throw. */
  #sampled<T>(started: Started, judgeOutcome: JudgeOutcome<T>, outcome: Outcome<T>): Outcome<T> {
    try {
      const ended = judgeOutcome(outcome)
      if (ended !== 'ignored') this.#limit.end(started, ended)
      return outcome
    } catch (error) {
      return failed(error)
    }
  }

  #fullError(): BulkheadFullError {
    return new BulkheadFullError(
      this.#key,
      `concurrency limit of "${this.#key}" is reached: ${this.places.summary}`,
    )
  }
}

function judge<Value>(
  outcome: Outcome<Value>,
  context: Context,
  isOverload: ConcurrencyLimitOptions<Value>['isOverload'],
): Ended | 'ignored' {
  // What was called off may still succeed, and took as long as it liked.
  if (context.scope.isCalledOff || isNoNews(outcome, context)) return 'ignored'
  const verdict = isOverload?.(outcome, context) ?? byRule(outcome, context)
  if (verdict === 'ignored') return verdict
  return verdict ? 'overloaded' : 'measured'
}

/** A fast failure says nothing of how long work takes, be it a response. */
function byRule(outcome: Outcome, context: Context): boolean | 'ignored' {
  const standing = standingOf(outcome, context)
  if (standing === 'served') return false
  return (standing === 'failed' && isTimeout(outcome, context)) || 'ignored'
}

const isTimeout = (outcome: Outcome, { scope }: Context): boolean =>
  scope.abortedBy === 'timeout' ||
  (!outcome.ok && isHoldfastError(outcome.error) && outcome.error.code === 'ERR_ATTEMPT_TIMEOUT')
