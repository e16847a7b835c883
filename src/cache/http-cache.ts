import { systemClock, type Clock } from '../primitives/clock.ts'
import type { ResponseCache } from '../http/response-cache.ts'
import type { Context, Next, Policy } from '../core/policy.ts'
import { invalidOption } from '../primitives/validate.ts'
import { cacheClient, type CacheRequest } from './client.ts'
import { GuardedStore } from './guarded-store.ts'
import { Keys } from './keys.ts'
import { MemoryCacheStore } from './memory-store.ts'
import { cacheSettings, type CacheSettings, type HttpCacheOptions } from './options.ts'
import { ResponseStorage } from './response-storage.ts'
import { callThroughCache, type CacheParts } from './cached-call.ts'

/** What `createFetch({ cache })` takes. Several clients may share one. */
export interface HttpCache extends ResponseCache {
  /**
   * Forgets everything, as at a sign-out: also what is on its way now is not stored. Rejects if the store fails, or
   * does not answer within `storeTimeoutMs`.
   */
  clear(): Promise<void>
}

/**
 * An outage cache: every GET still goes to the network, and what came back is served when the network fails: an open
 * circuit, a timeout, retries used up. Private, by RFC 9111 and RFC 5861.
 *
 * @example
 * const fetch = createFetch({ cache: httpCache() })
 * @throws {HoldfastError} ERR_INVALID_OPTION
 */
export function httpCache(options: HttpCacheOptions = {}): HttpCache {
  return new OutageCache(cacheSettings(options), options)
}

class OutageCache implements HttpCache {
  readonly #settings: CacheSettings
  readonly #storage: ResponseStorage
  readonly #identity: HttpCacheOptions['identity']

  constructor(settings: CacheSettings, { store, identity, onError }: HttpCacheOptions) {
    const { maxEntries, maxBytes, storeTimeoutMs, identityHeaders, staleIfErrorMs } = settings
    this.#settings = settings
    this.#identity = identity
    this.#storage = new ResponseStorage({
      store: new GuardedStore({
        store: store ?? new MemoryCacheStore({ maxEntries, maxBytes }),
        timeoutMs: storeTimeoutMs,
        onError,
      }),
      keys: new Keys(identityHeaders),
      staleIfErrorMs,
    })
  }

  policy(clock: Clock): Policy<Response> {
    const { serveFresh, staleIfErrorMs, maxEntryBytes } = this.#settings
    const parts: CacheParts = {
      storage: this.#storage,
      client: cacheClient(clock),
      serveFresh,
      staleIfErrorMs,
      maxEntryBytes,
      identify: (request) => this.#identify(request),
    }
    return {
      name: 'cache',
      settings: { ...this.#settings },
      // The policy's type says that a cache makes what the operation makes.
      wrap:
        <T extends Response>(next: Next<T>) =>
        (context: Context): Promise<T> =>
          callThroughCache(parts, context, next) as Promise<T>,
    }
  }

  clear(): Promise<void> {
    // It belongs to no client, so no client's clock is asked.
    return this.#storage.clear(systemClock)
  }

  #identify({ method, url, headers }: CacheRequest): string | undefined {
    const named: unknown = this.#identity?.({ method, url, headers: new Headers(headers) })
    if (named === undefined || typeof named === 'string') return named
    throw invalidOption('what httpCache: identity() returns', 'a string or undefined', named)
  }
}
