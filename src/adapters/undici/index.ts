/**
 * Holdfast under undici, `new Agent().compose(interceptor())`, and undici under Holdfast,
 * `createFetch({ fetch: transport({ dispatcher }) })`.
 *
 * @module
 */
import { createFetch } from '../../client/create-fetch.ts'
import type { FetchOptions, HoldfastFetch } from '../../client/options.ts'
import { RULES } from '../../client/settings/rules.ts'
import { isOfThisCopy } from '../../client/transport.ts'
import { checkFunction, checkKeys, invalidOption } from '../../primitives/validate.ts'
import { run } from './call.ts'
import { standInForResponses } from './lazy-response.ts'
import type { AnyHandler, Dispatch, DispatchOptions } from './dispatch.ts'

export { transport, type TransportOptions } from './transport.ts'

/** Those of `createFetch`, but for the transport: that is the dispatcher. */
export type InterceptorOptions = Omit<FetchOptions, 'fetch'>

/** Fits `compose` of undici 6, 7 and 8, without needing their types where there is no undici. */
export type HoldfastInterceptor = <D extends (options: never, handler: never) => boolean>(
  dispatch: D,
  origin?: string | null,
) => D

/**
 * An interceptor for any dispatcher of undici: what goes through it is retried, keyed and guarded as by `createFetch`. A
 * handler is told of one response only, the one that the call ends with, and of that as it comes over the wire: pace,
 * trailers and aborts are undici's own.
 *
 * @param options those of `createFetch` without `fetch`, or a fetch that it has made, to share its circuits and budgets
 * @example
 * setGlobalDispatcher(new Agent().compose(interceptor()))
 * @throws {HoldfastError} ERR_INVALID_OPTION
 */
export function interceptor(options: InterceptorOptions | HoldfastFetch = {}): HoldfastInterceptor {
  standInForResponses()
  const fetch = typeof options === 'function' ? own(options) : createFetch(checked(options))
  return <D>(next: D, origin?: string | null): D => {
    checkFunction("what undici's compose() gives an interceptor", next)
    const dispatch = next as Dispatch
    const parts = { fetch, dispatch, origin: origin ?? unnamedOrigin() }
    const intercept = (given: DispatchOptions, handler: AnyHandler): boolean => {
      if (isTunnel(given)) return dispatch(given, handler)
      void run(parts, given, handler)
      return true
    }
    return intercept as D
  }
}

const OPTIONS = Object.keys(RULES).filter((name) => name !== 'fetch')

/** Checked here as well, so that a message names `interceptor` and not `createFetch`. */
function checked(options: InterceptorOptions): InterceptorOptions {
  checkKeys('interceptor', options, OPTIONS)
  return options
}

/** Refuses any other fetch, even one of another copy of this package: it would send past the dispatcher. */
function own(fetch: HoldfastFetch): HoldfastFetch {
  if (isOfThisCopy(fetch)) return fetch
  throw invalidOption('what interceptor() is given', 'a fetch that createFetch of this copy has made', fetch)
}

/** Tunnels and upgrades bypass the pipeline: they ask for a connection, not a response. */
const isTunnel = ({ method, upgrade }: DispatchOptions): boolean =>
  method === 'CONNECT' || (upgrade !== undefined && upgrade !== null && upgrade !== false)

let unnamed = 0

/** A Client of undici 6 or 7 does not tell where it leads: it still has a circuit of its own. */
const unnamedOrigin = (): string => `http://dispatcher-${++unnamed}`
