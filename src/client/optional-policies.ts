import type { Clock } from '../primitives/clock.ts'
import { CLIENT_DEFAULTS } from '../primitives/client-defaults.ts'
import { compose, directPolicy, directWork, follow, type Start, type Work } from '../core/direct.ts'
import { isNoStream } from '../http/discard.ts'
import { lazy, type Lazy } from '../primitives/lazy.ts'
import { withDefaults, type Complete } from '../primitives/options.ts'
import type { BulkheadSettings } from '../policies/bulkhead/settings.ts'
import { guard, type CircuitStore } from '../policies/circuit-breaker/guard.ts'
import type { HedgeSettings } from '../policies/hedge/settings.ts'
import type { Keep } from '../policies/retry.ts'
import type { Next, Policy } from '../core/policy.ts'
import { callOf } from './call.ts'
import type * as extras from './extras.ts'

type Extras = typeof extras

/**
 * The code of what is off by default: it is loaded with the first call that needs some of it. Nothing here is what a call
 * falls back on when the network is gone, over which a browser would have to load it.
 */
export const EXTRAS: Lazy<Extras> = lazy(() => import('./extras.ts'))

/** The code, or none where it can't be loaded, for what a call or its response is as good without. */
async function ifLoadable(): Promise<Extras | undefined> {
  return EXTRAS.loaded ?? (await EXTRAS.load().catch(() => undefined))
}

export function bulkheadPolicy(options: BulkheadSettings, maxKeys: number, clock: Clock): Policy<Response> {
  const settings = withDefaults<Complete<BulkheadSettings>>(CLIENT_DEFAULTS.bulkhead, options)
  return lazyPolicy(
    { name: 'bulkhead', settings },
    ({ bulkheadBy }) => bulkheadBy({ ...settings, maxKeys, clock }),
    // A limit that is not kept is none.
    EXTRAS.load,
  )
}

export function hedgePolicy(options: HedgeSettings, maxKeys: number, clock: Clock): Policy<Response> {
  const settings = withDefaults<Complete<HedgeSettings>>(CLIENT_DEFAULTS.hedge, options)
  return lazyPolicy({ name: 'hedge', settings }, ({ hedgeCalls }) => hedgeCalls(settings, maxKeys, clock))
}

/** @param limit the total timeout, which stands inside it: the time in which the code comes counts, too */
export const coalescePolicy = (limit: Policy | undefined | 0): Policy<Response> =>
  lazyPolicy({ name: 'coalesce' }, ({ coalesceCalls }) => coalesceCalls(), ifLoadable, limit)

/** A breaker at whose open circuits calls wait; without the code they are rejected. */
export const waitingGuard = (
  store: CircuitStore,
  options: Parameters<typeof guard<Response>>[1],
): Policy<Response> =>
  lazyPolicy(guard(store, options), ({ parkingOf }) => guard(store, options, parkingOf(store)))

/**
 * Watches the body of the response that is returned, where that is the network's. It is the outermost policy, so its code
 * is asked for behind the response: it must stand in the way of no fallback.
 */
export const bodyIdlePolicy = (bodyIdleMs: number, clock: Clock): Policy<Response> => ({
  name: 'body-idle-timeout',
  settings: { bodyIdleMs },
  wrap:
    <T extends Response>(next: Next<T>) =>
    async (context) => {
      const response = await next(context)
      const { source, isBodyWatched } = callOf(context)
      // A body that is resumed is watched part by part; what is stored is not waited for.
      if (isBodyWatched || source !== 'network' || isNoStream(response.body)) return response
      // Code that hangs must not hold back the response: without it that is read unwatched.
      const code =
        EXTRAS.loaded ??
        (await Promise.race([
          ifLoadable(),
          new Promise<void>((resolve) => void clock.schedule(resolve, bodyIdleMs)),
        ]))
      // The same response, read through another body.
      return (code?.watchBody(response, context, bodyIdleMs, clock) ?? response) as T
    },
})

/** Keeps downloads going. */
export const resumingBodies =
  (clock: Clock): Keep<Response> =>
  async (response, context, attempts) => {
    if (callOf(context).method !== 'GET' || response.status !== 200 || isNoStream(response.body))
      return response
    const code = await ifLoadable()
    return code?.resumable(response, context, attempts, clock) ?? response
  }

type Fields = Pick<Policy, 'name' | 'settings'>

/**
 * A policy whose code comes with the first call, which waits for it.
 *
 * @param without what stands there without the code: nothing, unless it says how it wraps
 * @param limit around calls that wait for the code, where no timeout stands outside
 */
function lazyPolicy(
  without: Fields | Policy<Response>,
  make: (code: Extras) => Policy<Response>,
  load: () => Promise<Extras | undefined> = ifLoadable,
  limit?: Policy | 0,
): Policy<Response> {
  let policy: Policy<Response> | undefined
  return directPolicy<Response, Fields>(without, <T extends Response>(start: Start<T>): Start<T> => {
    const inner = directWork(start)
    let work: Work<T> | undefined
    const workBy = (code: Extras | undefined): Work<T> =>
      code
        ? (work ??= compose<T>([(policy ??= make(code))], inner))
        : compose<T>('wrap' in without ? [without] : [], inner)
    const later: Next<T> = async (context) => workBy(await load()).next(context)
    return (context, receiver) =>
      EXTRAS.loaded
        ? workBy(EXTRAS.loaded).start(context, receiver)
        : follow((limit ? limit.wrap(later) : later)(context), receiver)
  })
}
