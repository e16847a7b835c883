import type { Clock } from '../clock.ts'
import { emit } from '../emit.ts'
import type { CacheClient, CacheRequest } from '../http/response-cache.ts'
import { callOf, type FetchCall } from './call.ts'
import { isNoCors } from './request.ts'

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
    hasFailed: (outcome, context) => callOf(context).hasFailed(outcome),
    onHit(context, { kind, ageMs }) {
      // A response that the origin has just confirmed is the network's.
      if (kind !== 'revalidated') callOf(context).source = 'cache'
      emit(undefined, { type: 'cache-hit', kind, ageMs }, context)
    },
  }
}

function cacheRequest(call: FetchCall): CacheRequest | undefined {
  const { method, url, init, request } = call.caller
  const headers = callerHeaders(call)
  if (headers === undefined) return undefined
  return {
    method,
    url: url.href,
    headers,
    mode: init.cache ?? request?.cache ?? 'default',
    credentials: init.credentials ?? request?.credentials ?? 'same-origin',
    replaceable: isReplaceable(call),
  }
}

/** What the platform checks of an answer, or hides of it, it can't check or hide of a stored one. */
function isReplaceable({ caller }: FetchCall): boolean {
  const { init, request } = caller
  const redirect = init.redirect ?? request?.redirect ?? 'follow'
  const integrity = init.integrity ?? request?.integrity ?? ''
  return redirect === 'follow' && integrity === '' && !isNoCors(caller)
}

/** Headers that cannot be read cannot be sent either: the transport will say so. */
function callerHeaders({ caller }: FetchCall): Headers | undefined {
  try {
    return new Headers(caller.init.headers)
  } catch {
    return undefined
  }
}
