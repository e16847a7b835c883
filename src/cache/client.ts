import type { Clock } from '../primitives/clock.ts'
import { emit } from '../core/emit.ts'
import { TimeoutError } from '../primitives/errors.ts'
import type { CacheHit } from '../core/events.ts'
import { discard } from '../http/discard.ts'
import { ROUTE } from '../http/route.ts'
import { isNoCors, type CacheableCall } from '../http/response-cache.ts'
import { causeOf, type Context, type Next, type Outcome } from '../core/policy.ts'
import { Scope } from '../primitives/signal.ts'
import { raceAbort } from '../core/work.ts'

/** A request as a cache sees it. */
export interface CacheRequest {
  readonly method: string
  readonly url: string
  /** What the caller gave; what an attempt adds to them is seen by `sentHeaders`. */
  readonly headers: Headers
  /** The caller's `init.cache`. */
  readonly mode: RequestCache
  readonly credentials: RequestCredentials
  /** Whether a stored response could stand for the answer: not where redirects or integrity are to be checked. */
  readonly replaceable: boolean
  /** Whether its answer comes as it was over the wire, in its coding, and not as fetch hands it out. */
  readonly coded: boolean
}

/** What a client lends to its cache. */
export interface CacheClient {
  readonly clock: Clock
  /** `undefined` for a request that can't be sent, since its headers are malformed. */
  readonly requestOf: (context: Context) => CacheRequest | undefined
  /**
   * The headers of the attempt that was answered last, else of the newest one; `undefined` while there has been none.
   */
  readonly sentHeaders: (context: Context) => Headers | undefined
  /** Adds headers to all attempts of the call that are still to come: validators. They replace those added before. */
  readonly addHeaders: (context: Context, headers: Readonly<Record<string, string>>) => void
  /** What follows, once more, within the time that the call has left: its total timeout would begin anew. */
  readonly again: (next: Next<Response>) => Next<Response>
  /** Whether a call has failed for good: a stored response is better than that. */
  readonly hasFailed: (outcome: Outcome<Response>, context: Context) => boolean
  /** The call is answered with a stored response. */
  readonly onHit: (context: Context, hit: Pick<CacheHit, 'kind' | 'ageMs'>) => void
}

const callOf = ({ execution }: Context): CacheableCall => execution.data as CacheableCall

/** What a cache may know of this client, and do to it. */
export function cacheClient(clock: Clock): CacheClient {
  return {
    clock,
    requestOf: (context) => cacheRequest(callOf(context)),
    sentHeaders(context) {
      const call = callOf(context)
      return call.attempts === 0 ? undefined : new Headers(call.sentHeaders)
    },
    addHeaders(context, headers) {
      callOf(context).extraHeaders = headers
    },
    again: (next) => withinTotal(clock, next),
    hasFailed: (outcome, context) => callOf(context).hasFailed(outcome),
    onHit(context, { kind, ageMs }) {
      // A response that the origin has just confirmed is the network's.
      if (kind !== 'revalidated') callOf(context).source = 'cache'
      emit(undefined, { type: 'cache-hit', kind, ageMs }, context)
    },
  }
}

/** A total timeout inside stands back, since this one ends no later. */
const withinTotal =
  (clock: Clock, next: Next<Response>): Next<Response> =>
  async (context) => {
    const { startedMs, settings } = callOf(context)
    const { totalMs } = settings
    if (totalMs === undefined) return next(context)
    const scope = new Scope(context.scope)
    const endMs = startedMs + totalMs
    const timer = clock.schedule(() => {
      emit(undefined, { type: 'timeout', kind: 'total', timeoutMs: totalMs }, context)
      const message = `the call with its retries took longer than ${totalMs} ms`
      const cause = causeOf(context.execution)
      scope.abort(new TimeoutError('ERR_TOTAL_TIMEOUT', message, totalMs, cause), 'timeout')
    }, endMs - clock.now())
    const work = next(context.within(scope, endMs))
    try {
      return await raceAbort(scope, work)
    } catch (error) {
      // A policy of the user's may hold what came: it is too late for anybody to read it.
      if (scope.aborted) work.then(discard, () => {})
      throw error
    } finally {
      timer.cancel()
    }
  }

function cacheRequest(call: CacheableCall): CacheRequest | undefined {
  const { url, caller } = call
  const { method, init, request } = caller
  const headers = callerHeaders(call)
  if (headers === undefined) return undefined
  return {
    method,
    url: url.href,
    headers,
    mode: init.cache ?? request?.cache ?? 'default',
    credentials: init.credentials ?? request?.credentials ?? 'same-origin',
    replaceable: isReplaceable(call),
    coded: ROUTE in init,
  }
}

/** What the platform checks of an answer, or hides of it, it can't check or hide of a stored one. */
function isReplaceable({ caller }: CacheableCall): boolean {
  const { init, request } = caller
  const redirect = init.redirect ?? request?.redirect ?? 'follow'
  const integrity = init.integrity ?? request?.integrity ?? ''
  return redirect === 'follow' && integrity === '' && !isNoCors(caller)
}

/** Headers that cannot be read cannot be sent either: the transport will say so. */
function callerHeaders({ caller }: CacheableCall): Headers | undefined {
  try {
    return new Headers(caller.init.headers)
  } catch {
    return undefined
  }
}
