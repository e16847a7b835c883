import type { Clock } from '../primitives/clock.ts'
import type { Outcome, Policy } from '../core/policy.ts'

/**
 * Between a client and a cache of responses. The cache is a part of its own (`holdfast/cache`), so that nobody ships it
 * who does not use it; the client knows this much of it.
 */
export interface ResponseCache {
  /** The cache as a policy: it stands outside retries and timeouts, and inside the fallback. */
  policy(clock: Clock): Policy<Response>
}

/** What a cache reads and changes of a client's call, which is its execution's `data`. */
export interface CacheableCall {
  readonly url: URL
  readonly caller: {
    readonly method: string
    readonly init: RequestInit
    readonly request: Request | undefined
  }
  readonly startedMs: number
  readonly settings: { readonly totalMs: number | undefined }
  /** Attempts that were handed to the transport. */
  readonly attempts: number
  /** The headers of the attempt that was answered last, else of the newest one. */
  readonly sentHeaders: RequestInit['headers']
  /** Headers that all attempts still to come carry: validators. */
  extraHeaders: Readonly<Record<string, string>> | undefined
  source: 'network' | 'cache' | 'fallback'
  /** Whether it has failed for good: a stored response is better than that. */
  hasFailed(outcome: Outcome<Response>): boolean
}

/** Requests to other sites that may not carry a header of ours. */
export function isNoCors({ init, request }: Pick<CacheableCall['caller'], 'init' | 'request'>): boolean {
  return (init.mode ?? request?.mode) === 'no-cors'
}
