import type { Clock } from '../clock.ts'
import { DEFAULTS } from '../defaults.ts'
import { isNoBody } from '../http/discard.ts'
import { lazy, type Lazy } from '../lazy.ts'
import { withDefaults } from '../options.ts'
import type * as bulkhead from '../policies/bulkhead/bulkhead.ts'
import type { BulkheadSettings } from '../policies/bulkhead/settings.ts'
import { guard, type CircuitStore } from '../policies/circuit-breaker/guard.ts'
import type * as parking from '../policies/circuit-breaker/parking.ts'
import type { HedgeSettings } from '../policies/hedge/settings.ts'
import type { Keep } from '../policies/retry.ts'
import type { Next, Policy } from '../policy.ts'
import type * as bodyIdle from './body-idle.ts'
import { callOf } from './call.ts'
import type * as coalesce from './coalesce.ts'
import type * as hedge from './hedge.ts'
import type * as resumeBody from './resume-body.ts'

/**
 * The code of what is off by default: it is loaded with the first call that needs it. Nothing here is what a call falls
 * back on when the network is gone, over which a browser would have to load it.
 */
export const CODE: Code = {
  bodyIdle: lazy(() => import('./body-idle.ts')),
  bulkhead: lazy(() => import('../policies/bulkhead/bulkhead.ts')),
  coalesce: lazy(() => import('./coalesce.ts')),
  hedge: lazy(() => import('./hedge.ts')),
  parking: lazy(() => import('../policies/circuit-breaker/parking.ts')),
  resumeBody: lazy(() => import('./resume-body.ts')),
}

interface Code {
  readonly bodyIdle: Lazy<typeof bodyIdle>
  readonly bulkhead: Lazy<typeof bulkhead>
  readonly coalesce: Lazy<typeof coalesce>
  readonly hedge: Lazy<typeof hedge>
  readonly parking: Lazy<typeof parking>
  readonly resumeBody: Lazy<typeof resumeBody>
}

export function bulkheadPolicy(options: BulkheadSettings, maxKeys: number): Policy<Response> {
  const settings = withDefaults<Required<BulkheadSettings>>(DEFAULTS.bulkhead, options)
  return lazyPolicy(
    { name: 'bulkhead', settings: { ...settings } },
    CODE.bulkhead,
    ({ bulkheadBy }) => bulkheadBy({ ...settings, maxKeys }),
    // A limit that is not kept is none.
    (code) => code.load(),
  )
}

export function hedgePolicy(
  options: HedgeSettings,
  maxKeys: number,
  parts: hedge.HedgeParts,
): Policy<Response> {
  const settings = withDefaults<Required<HedgeSettings>>(DEFAULTS.hedge, options)
  return lazyPolicy({ name: 'hedge', settings: { ...settings } }, CODE.hedge, ({ hedgeCalls }) =>
    hedgeCalls(settings, maxKeys, parts),
  )
}

export function coalescePolicy(): Policy<Response> {
  return lazyPolicy({ name: 'coalesce' }, CODE.coalesce, ({ coalesceCalls }) => coalesceCalls())
}

/**
 * Watches the body of the response that is returned, where that is the network's. It is the outermost policy, so its code
 * is asked for behind the response: it must stand in the way of no fallback.
 */
export function bodyIdlePolicy(bodyIdleMs: number, clock: Clock): Policy<Response> {
  const code = CODE.bodyIdle
  return {
    name: 'body-idle-timeout',
    settings: { bodyIdleMs },
    wrap:
      <T extends Response>(next: Next<T>) =>
      async (context) => {
        const response = await next(context)
        const { source, isBodyWatched } = callOf(context)
        // A body that is resumed is watched part by part; what is stored is not waited for.
        if (isBodyWatched || source !== 'network' || isNoBody(response.body)) return response
        const watchBody = (await ifLoadable(code))?.watchBody
        // The same response, read through another body.
        return (watchBody?.(response, context, bodyIdleMs, clock) ?? response) as T
      },
  }
}

/** A breaker at whose open circuits calls wait; without the code they are rejected. */
export function waitingGuard(
  store: CircuitStore,
  options: Parameters<typeof guard<Response>>[1],
): Policy<Response> {
  return lazyPolicy(guard(store, options), CODE.parking, ({ parkingOf }) =>
    guard(store, options, parkingOf(store)),
  )
}

/** Keeps downloads going. */
export function resumingBodies(clock: Clock): Keep<Response> {
  const code = CODE.resumeBody
  return async (response, context, attempts) => {
    if (callOf(context).method !== 'GET' || response.status !== 200 || isNoBody(response.body))
      return response
    const resumable = (await ifLoadable(code))?.resumable
    return resumable?.(response, context, attempts, clock) ?? response
  }
}

/** The code, or none where it can't be loaded, for what a call or its response is as good without. */
async function ifLoadable<M>(code: Lazy<M>): Promise<M | undefined> {
  return code.loaded ?? (await code.load().catch(() => undefined))
}

/**
 * A policy whose code comes with the first call, which waits for it.
 *
 * @param without what stands there without the code: nothing, unless it says how it wraps
 */
function lazyPolicy<M>(
  without: Pick<Policy, 'name' | 'settings'> & Partial<Pick<Policy<Response>, 'wrap'>>,
  code: Lazy<M>,
  make: (module: M) => Policy<Response>,
  load: (code: Lazy<M>) => Promise<M | undefined> = ifLoadable,
): Policy<Response> {
  const { name, settings = {} } = without
  let policy: Policy<Response> | undefined
  return {
    name,
    settings,
    wrap<T extends Response>(next: Next<T>): Next<T> {
      let handler: Next<T> | undefined
      const handlerOf = (module: M): Next<T> => (handler ??= (policy ??= make(module)).wrap(next))
      return async (context) => {
        const module = code.loaded ?? (await load(code))
        return (module === undefined ? (without.wrap?.(next) ?? next) : handlerOf(module))(context)
      }
    },
  }
}
