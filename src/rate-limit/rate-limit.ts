import { BoundedMap } from '../structures/bounded-map.ts'
import { systemClock, type Clock } from '../primitives/clock.ts'
import { ordered } from '../core/composition.ts'
import { delay } from '../primitives/delay.ts'
import { emit } from '../core/emit.ts'
import { RateLimitedError } from '../primitives/refusals.ts'
import { withDefaults, type Complete } from '../primitives/options.ts'
import { unwrap, type Context, type Next, type OnEvent, type Policy } from '../core/policy.ts'
import { settled } from '../core/work.ts'
import { systemRandom, uniform, type Random } from '../primitives/random.ts'
import { checkFunction, checkInteger, checkKeys, checkPositive } from '../primitives/validate.ts'
import { WaitingRoom } from '../structures/waiting-room.ts'
import { limitsOf, NO_NEWS } from './fields.ts'
import { Quotas } from './quotas.ts'

export interface RateLimitOptions {
  /** The longest wait for quota, in ms; beyond it the attempt is refused at once. Default 60,000. */
  maxWaitMs?: number | undefined
  /** Attempts with the same key share quotas. Default: that of the execution, for `createFetch` the circuit's. */
  key?: ((context: Context) => string) | undefined
  /** For how many keys quotas are remembered; only keys whose quotas have all reset are forgotten. Default 1000. */
  maxKeys?: number | undefined
  /** Default: the platform's time. */
  clock?: Clock | undefined
  /** Spreads those that waited. Default: `Math.random`. */
  random?: Random | undefined
  /** Gets the event `pace` when an attempt waits. */
  onEvent?: OnEvent | undefined
}

/** What `rateLimit()` does unless told otherwise. Durations are milliseconds. */
export const RATE_LIMIT_DEFAULTS = { maxWaitMs: 60_000, maxKeys: 1000 } as const

/** Those who waited come back spread over a little more than they had to wait, so that they do not come all at once. */
const SPREAD = 0.25
const MAX_SPREAD_MS = 1000

/**
 * Paces requests by what the service says of its quotas (draft-ietf-httpapi-ratelimit-headers): sends as long as there
 * is quota, then waits until there is again, instead of earning 429s. Stands inside `retry`.
 *
 * @example
 * const fetch = createFetch({ policies: [rateLimit()] })
 * @throws {HoldfastError} ERR_INVALID_OPTION
 */
export function rateLimit(options: RateLimitOptions = {}): Policy<Response> {
  checkKeys('rateLimit', options, ['maxWaitMs', 'key', 'maxKeys', 'clock', 'random', 'onEvent'])
  if (options.key !== undefined) checkFunction('rateLimit.key', options.key)
  const { maxWaitMs, maxKeys } = withDefaults<Limits>(RATE_LIMIT_DEFAULTS, options)
  checkPositive('rateLimit.maxWaitMs', maxWaitMs)
  checkInteger('rateLimit.maxKeys', maxKeys, 1)
  const { clock = systemClock, random = systemRandom, key = ({ execution }) => execution.key } = options
  const origins = new BoundedMap<Origin>(
    maxKeys,
    () => ({ quotas: new Quotas(), waiting: new WaitingRoom(clock) }),
    ({ quotas, waiting }) => waiting.size === 0 && quotas.isIdle(clock.now()),
  )
  const pacer: Pacer = { maxWaitMs, clock, random, onEvent: options.onEvent }
  return ordered({
    name: 'rate-limit',
    settings: { maxWaitMs },
    wrap:
      <T extends Response>(next: Next<T>) =>
      async (context: Context): Promise<T> => {
        const name = key(context)
        const origin = origins.get(name)
        const request = await pace(origin, name, context, pacer)
        const outcome = await settled(next(context))
        const news = outcome.ok ? limitsOf(outcome.value, clock.wallNow()) : NO_NEWS
        origin.quotas.settle(request, clock.now(), news)
        // The answer may tell of more than was known.
        origin.waiting.wakeAll()
        return unwrap(outcome)
      },
  })
}

/** What is known of one key, and who waits for it. */
interface Origin {
  readonly quotas: Quotas
  readonly waiting: WaitingRoom
}

type Limits = Complete<Pick<RateLimitOptions, 'maxWaitMs' | 'maxKeys'>>

interface Pacer {
  readonly maxWaitMs: number
  readonly clock: Clock
  readonly random: Random
  readonly onEvent: OnEvent | undefined
}

/** Takes from the quotas as soon as there is something to take; refuses at once when that is too far away. */
async function pace(
  { quotas, waiting }: Origin,
  key: string,
  context: Context,
  { maxWaitMs, clock, random, onEvent }: Pacer,
): Promise<number> {
  const latestMs = clock.now() + maxWaitMs
  let told = false
  for (let waitMs = quotas.waitMs(clock.now()); waitMs > 0; waitMs = quotas.waitMs(clock.now())) {
    const endMs = clock.now() + waitMs
    if (endMs > latestMs || endMs >= context.deadline) throw new RateLimitedError(key, waitMs)
    const delayMs = waitMs + uniform(random, 0, Math.min(SPREAD * waitMs, MAX_SPREAD_MS))
    if (!told) emit(onEvent, { type: 'pace', key, delayMs }, context)
    told = true
    await waiting.wait(context.scope, delayMs)
    // A process that was stopped meanwhile may wake too late: the timer that ends the call is due, and goes off first.
    if (clock.now() >= context.deadline) await delay(clock, 1, context.scope)
  }
  return quotas.take()
}
