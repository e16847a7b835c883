import { withDefaults } from '../primitives/options.ts'
import {
  checkFunction,
  checkInteger,
  checkKeys,
  checkNumber,
  checkOneOf,
  checkPositive,
  invalidOption,
} from '../primitives/validate.ts'
import { CACHE_DEFAULTS } from './defaults.ts'
import type { CacheStore, OnStoreError } from './store.ts'

/** A request, as `identity` sees it: the headers are those that the caller gave. */
export interface IdentityInput {
  readonly method: string
  readonly url: string
  readonly headers: Headers
}

export interface HttpCacheOptions {
  /** How many responses are kept in memory. Default 1000. Not with a `store`. */
  maxEntries?: number | undefined
  /** How many bytes of responses are kept in memory. Default 50 MiB. Not with a `store`. */
  maxBytes?: number | undefined
  /** The longest body that is kept; a longer one is passed on. Default 5 MiB. */
  maxEntryBytes?: number | undefined
  /** For how long past its freshness a response may be served while its origin fails. Default 24 h. */
  staleIfErrorMs?: number | undefined
  /**
   * Request headers that tell users apart, besides Authorization, Cookie, X-Api-Key and Proxy-Authorization. Default:
   * none.
   */
  identityHeaders?: readonly string[] | undefined
  /**
   * Names the user on whose behalf a request is made; it then stands for all headers that tell users apart. For tokens
   * that rotate, and for those that `beforeAttempt` or the transport adds. `undefined` leaves it to the headers.
   */
  identity?: ((request: IdentityInput) => string | undefined) | undefined
  /** Whether a response that is still fresh is served without asking its origin. Default `false`. */
  serveFresh?: boolean | undefined
  /** Where responses are kept. Default: in memory. */
  store?: CacheStore | undefined
  /** The longest a call waits for the store, each time it needs it. Default 200. */
  storeTimeoutMs?: number | undefined
  /** Told what goes wrong with the store; no call ever fails of it. */
  onError?: OnStoreError | undefined
}

/** Options, checked and complete. */
export interface CacheSettings {
  readonly maxEntries: number
  readonly maxBytes: number
  readonly maxEntryBytes: number
  readonly staleIfErrorMs: number
  readonly identityHeaders: readonly string[]
  readonly serveFresh: boolean
  readonly storeTimeoutMs: number
}

const KEYS = [...Object.keys(CACHE_DEFAULTS), 'identity', 'store', 'onError']
const STORE_METHODS = ['get', 'set', 'delete', 'clear'] as const

/** @throws {HoldfastError} ERR_INVALID_OPTION */
export function cacheSettings(options: HttpCacheOptions): CacheSettings {
  checkKeys('httpCache', options, KEYS)
  const settings = withDefaults<CacheSettings>(CACHE_DEFAULTS, options)
  checkInteger('httpCache: maxEntries', settings.maxEntries, 1)
  checkInteger('httpCache: maxBytes', settings.maxBytes, 1)
  checkInteger('httpCache: maxEntryBytes', settings.maxEntryBytes, 1)
  checkNumber('httpCache: staleIfErrorMs', settings.staleIfErrorMs)
  checkPositive('httpCache: storeTimeoutMs', settings.storeTimeoutMs)
  checkOneOf('httpCache: serveFresh', settings.serveFresh, [true, false])
  checkHeaderNames(settings.identityHeaders)
  if (options.identity !== undefined) checkFunction('httpCache: identity', options.identity)
  if (options.onError !== undefined) checkFunction('httpCache: onError', options.onError)
  if (options.store !== undefined) checkStore(options.store, options)
  return settings
}

function checkHeaderNames(names: unknown): void {
  if (!Array.isArray(names))
    throw invalidOption('httpCache: identityHeaders', 'an array of header names', names)
  for (const name of names as readonly unknown[]) {
    if (typeof name !== 'string' || !/^[\w!#$%&'*+.^`|~-]+$/.test(name)) {
      throw invalidOption('each of httpCache: identityHeaders', 'the name of a header', name)
    }
  }
}

function checkStore(store: unknown, options: HttpCacheOptions): void {
  const isStore = STORE_METHODS.every((name) => typeof Object(store)[name] === 'function')
  if (!isStore) throw invalidOption('httpCache: store', 'an object with get, set, delete and clear', store)
  for (const name of ['maxEntries', 'maxBytes'] as const) {
    if (options[name] !== undefined) {
      throw invalidOption(
        `httpCache: ${name}`,
        'left out where there is a store, which has its own bounds',
        options[name],
      )
    }
  }
}
