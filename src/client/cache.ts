import type { Clock } from '../clock.ts'
import { emit } from '../emit.ts'
import type { CacheClient, CacheRequest } from '../http/response-cache.ts'
import { callOf, type FetchCall } from './call.ts'

/** What a cache may know of this client, and do to it. */
export function cacheClient(clock: Clock): CacheClient {
  return {
    clock,
    requestOf: (context) => cacheRequest(callOf(context)),
    sentHeaders(context) {
      const call = callOf(context)
      return call.attempts === 0 ? undefined : (call.sentHeaders ?? callerHeaders(call))
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

function cacheRequest(call: FetchCall): CacheRequest {
  const { method, url, init, request } = call.caller
  return {
    method,
    url: url.href,
    headers: callerHeaders(call),
    mode: init.cache ?? request?.cache ?? 'default',
  }
}

const callerHeaders = ({ caller }: FetchCall): Headers => new Headers(caller.init.headers)
