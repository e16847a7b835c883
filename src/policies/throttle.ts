import { BoundedMap } from '../structures/bounded-map.ts'
import { systemClock, type Clock } from '../primitives/clock.ts'
import { ordered } from '../core/composition.ts'
import { DEFAULTS } from '../primitives/defaults.ts'
import { ThrottledError } from '../primitives/refusals.ts'
import { withDefaults, type Complete } from '../primitives/options.ts'
import { rejected, standingOf, type Context, type Next, type Outcome, type Policy } from '../core/policy.ts'
import { systemRandom, type Random } from '../primitives/random.ts'
import { SlidingCounts } from '../structures/sliding-counts.ts'
import { checkFunction, checkInteger, checkKeys, checkNumber, checkPositive } from '../primitives/validate.ts'

export interface ThrottleSettings {
  /** How many requests may be made for each one that is accepted, before some are held back. Default 2. */
  ratio?: number | undefined
  /** Over how long requests are counted. Default 120,000. */
  windowMs?: number | undefined
  /** With fewer requests in the window none is held back. Default 10. */
  minimumRequests?: number | undefined
}

export interface ThrottleOptions<Value = unknown> extends ThrottleSettings {
  /** Requests with the same key are counted together. Default: that of the execution. */
  key?: ((context: Context) => string) | undefined
  /** How many keys are kept; those without requests in the window are forgotten first. Default 1000. */
  maxKeys?: number | undefined
  /**
   * Whether the service has accepted. Never asked about the caller's abort or a refusal on this side. Default: whatever
   * is no throw; in `createFetch` whatever is neither a throw nor a status that is tried again.
   */
  isAccepted?: ((outcome: Outcome<Value>, context: Context) => boolean) | undefined
  clock?: Clock | undefined
  random?: Random | undefined
}

const KEYS = [...Object.keys(DEFAULTS.throttle), 'key', 'maxKeys', 'isAccepted', 'clock', 'random']

function checkThrottle(options: ThrottleOptions<never>): void {
  checkKeys('throttle', options, KEYS)
  const { ratio, windowMs, minimumRequests, maxKeys } = options
  if (ratio !== undefined) checkNumber('throttle.ratio', ratio, 1)
  if (windowMs !== undefined) checkPositive('throttle.windowMs', windowMs)
  if (minimumRequests !== undefined) checkInteger('throttle.minimumRequests', minimumRequests)
  if (maxKeys !== undefined) checkInteger('throttle.maxKeys', maxKeys, 1)
  for (const hook of ['key', 'isAccepted', 'random'] as const) {
    if (options[hook] !== undefined) checkFunction(`throttle.${hook}`, options[hook])
  }
}

/** Kinds of what is counted. A request that is taken back stays counted, and is counted as taken back beside. */
const REQUEST = 0
const ACCEPT = 1
const TAKEN_BACK = 2

/** What has been asked of one service, and what of it was accepted. Without timers. */
export class AcceptanceCounts {
  readonly #settings: Complete<ThrottleSettings>
  readonly #clock: Clock
  readonly #counts: SlidingCounts

  constructor(settings: Complete<ThrottleSettings>, clock: Clock) {
    this.#settings = settings
    this.#clock = clock
    this.#counts = new SlidingCounts(settings.windowMs, 3)
  }

  /** Those that were held back included. */
  get requests(): number {
    return this.#requestsAt(this.#clock.now())
  }

  get accepts(): number {
    return this.#counts.sum(this.#clock.now(), ACCEPT)
  }

  get isEmpty(): boolean {
    return this.#counts.sum(this.#clock.now(), REQUEST) === 0
  }

  /** The share of requests that shall be held back: grows with those that were not accepted, and never reaches 1. */
  get rejectShare(): number {
    const { ratio, minimumRequests } = this.#settings
    const nowMs = this.#clock.now()
    const requests = this.#requestsAt(nowMs)
    if (requests < minimumRequests) return 0
    return Math.max(0, (requests - ratio * this.#counts.sum(nowMs, ACCEPT)) / (requests + 1))
  }

  ask(): void {
    this.#record(REQUEST)
  }

  accept(): void {
    this.#record(ACCEPT)
  }

  takeBack(): void {
    this.#record(TAKEN_BACK)
  }

  #record(kind: number): void {
    this.#counts.record(this.#clock.now(), kind)
  }

  #requestsAt(nowMs: number): number {
    return Math.max(0, this.#counts.sum(nowMs, REQUEST) - this.#counts.sum(nowMs, TAKEN_BACK))
  }
}

/**
 * Holds back requests to a service that accepts only some of them, in proportion: refusing costs an overloaded service
 * nearly as much as serving. While every other request is accepted none is held back. Stands inside `retry`, so that it
 * sees attempts. Source: "Handling Overload" in Beyer et al., "Site Reliability Engineering", 2016, equation 21-1.
 *
 * @example
 * createFetch({ policies: [throttle()] })
 * @throws {HoldfastError} ERR_INVALID_OPTION; an execution that is held back rejects with ERR_THROTTLED
 */
export function throttle<Value = unknown>(options: ThrottleOptions<Value> = {}): Policy<Value> {
  checkThrottle(options)
  const settings = withDefaults<Complete<ThrottleSettings>>(DEFAULTS.throttle, options)
  const {
    key = ({ execution }: Context) => execution.key,
    clock = systemClock,
    random = systemRandom,
  } = options
  const all = new BoundedMap(
    options.maxKeys ?? DEFAULTS.circuitBreaker.maxCircuits,
    () => new AcceptanceCounts(settings, clock),
    (counts) => counts.isEmpty,
  )
  return ordered({
    name: 'throttle',
    settings: { ...settings },
    wrap:
      <T extends Value>(next: Next<T>): Next<T> =>
      (context) => {
        const name = key(context)
        const counts = all.get(name)
        const isHeldBack = random() < counts.rejectShare
        counts.ask()
        if (isHeldBack) return rejected(heldBack(name, counts))
        return next(context).then(
          (value) => {
            count(counts, { ok: true, value }, context, options)
            return value
          },
          (error: unknown) => {
            count(counts, { ok: false, error }, context, options)
            throw error
          },
        )
      },
  })
}

function heldBack(key: string, { requests, accepts }: AcceptanceCounts): ThrottledError {
  return new ThrottledError(key, `"${key}" has accepted ${accepts} of ${requests} requests: held back`)
}

function count<Value>(
  counts: AcceptanceCounts,
  outcome: Outcome<Value>,
  context: Context,
  { isAccepted }: ThrottleOptions<Value>,
): void {
  const standing = standingOf(outcome, context)
  if (standing === 'nothing') counts.takeBack()
  else if (isAccepted?.(outcome, context) ?? standing === 'served') counts.accept()
}
