import type { Clock } from '../clock.ts'
import type { CacheHit } from '../events.ts'
import type { Context, Outcome, Policy } from '../policy.ts'

/**
 * Between a client and a cache of responses. The cache is a part of its own (`holdfast/cache`), so that nobody ships it
 * who does not use it; the client knows this much of it.
 */
export interface ResponseCache {
  /** The cache as a policy: it stands outside retries and timeouts, and inside the fallback. */
  policy(client: CacheClient): Policy<Response>
}

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
  /** Whether a call has failed for good: a stored response is better than that. */
  readonly hasFailed: (outcome: Outcome<Response>, context: Context) => boolean
  /** The call is answered with a stored response. */
  readonly onHit: (context: Context, hit: Pick<CacheHit, 'kind' | 'ageMs'>) => void
}
