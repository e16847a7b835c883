/**
 * Holdfast under axios: `axios.create({ adapter: adapter() })`.
 *
 * @module
 */
import type { AxiosStatic, InternalAxiosRequestConfig } from 'axios'
import { createFetch } from '../../client/create-fetch.ts'
import type { FetchOptions, HoldfastFetch } from '../../client/options.ts'
import { RULES } from '../../client/settings/rules.ts'
import { checkKeys } from '../../validate.ts'
import { loadAxios } from './load-axios.ts'

/** What axios calls an `AxiosResponse`, as far as an adapter has to know. */
export interface AxiosAnswer<Config> {
  readonly data: unknown
  readonly status: number
  readonly statusText: string
  readonly headers: Record<string, string>
  readonly config: Config
}

/** Fits axios's `AxiosAdapter`, without needing its types where axios is not installed. */
export type HoldfastAdapter = <Config extends object>(config: Config) => Promise<AxiosAnswer<Config>>

let loading: Promise<AxiosStatic> | undefined

/**
 * An adapter that sends what axios makes of a request through a Holdfast fetch: axios's own fetch adapter, with another
 * fetch under it. So bodies, progress, cancel tokens and response types are what axios has, and a retried request passes
 * its interceptors once. Rejects where axios is missing or older than 1.12.
 *
 * @param options those of `createFetch`, or a fetch that it has made, to share its circuits and budgets
 * @example
 * const client = axios.create({ baseURL: 'https://api.example.com', adapter: adapter() })
 * await client.post('/orders', order, { fetchOptions: { holdfast: { idempotencyKey: order.id } } })
 * @throws {HoldfastError} ERR_INVALID_OPTION
 */
export function adapter(options: FetchOptions | HoldfastFetch = {}): HoldfastAdapter {
  const fetch = typeof options === 'function' ? options : createFetch(checked(options))
  return async <Config extends object>(config: Config) => {
    // Looked for when it is needed first: whoever has no axios may still import this.
    loading ??= loadAxios()
    const axios = await loading
    // Only axios calls adapters.
    const given = config as InternalAxiosRequestConfig
    const send = axios.getAdapter('fetch', { ...given, env: { ...given.env, fetch } })
    return send(given) as Promise<AxiosAnswer<Config>>
  }
}

/** `createFetch` would name itself, which its caller has not called. */
function checked(options: FetchOptions): FetchOptions {
  checkKeys('adapter', options, Object.keys(RULES))
  return options
}
