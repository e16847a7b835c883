import { isNullBodyStatus } from '../primitives/null-body-status.ts'
import { reasonPhrase } from '../primitives/reason-phrase.ts'
import { cameFrom } from '../http/relay.ts'
import type { ResponseMeta, StoredResponse } from './record.ts'

/** What became of the request for which a stored response is served. */
export interface Circumstances {
  readonly ageMs: number
  readonly lifetimeMs: number
  /** Whether an attempt went out, and the status of its answer. */
  readonly forwarded: boolean
  readonly status: number | undefined
}

/** A response made of a stored one; `Date` and where it came from are the stored one's. */
export function servedResponse({ meta, body }: StoredResponse, circumstances: Circumstances): Response {
  const headers = new Headers(meta.headers.map(([name, value]): [string, string] => [name, value]))
  headers.set('age', String(Math.floor(circumstances.ageMs / 1000)))
  // Caches on the way may have told theirs; the one closest to the user is last (RFC 9211, 2).
  headers.append('cache-status', cacheStatus(circumstances))
  return constructed(meta, headers, body)
}

function constructed(meta: ResponseMeta, headers: Headers, body: StoredResponse['body']): Response {
  const { status, statusText, provenance } = meta
  const init = { status, statusText: reasonPhrase(statusText), headers }
  return cameFrom(new Response(isNullBodyStatus(status) ? null : body, init), { ...provenance, statusText })
}

/** `hit` says that nothing was sent, `fwd` why something was: never both (RFC 9211, 2.1). */
function cacheStatus({ ageMs, lifetimeMs, forwarded, status }: Circumstances): string {
  const ttl = Math.floor((lifetimeMs - ageMs) / 1000)
  if (!forwarded) return `holdfast; hit; ttl=${ttl}`
  const why = ageMs < lifetimeMs ? 'bypass' : 'stale'
  return `holdfast; fwd=${why}${status === undefined ? '' : `; fwd-status=${status}`}; ttl=${ttl}`
}

/** What 'only-if-cached' gets where there is nothing (RFC 9111, 5.2.1.7). */
export function nothingStored(): Response {
  const headers = { 'cache-status': 'holdfast; detail=only-if-cached' }
  return new Response(null, { status: 504, statusText: 'Gateway Timeout', headers })
}
