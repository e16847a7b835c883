/**
 * Holdfast under axios: `axios.create({ adapter: adapter() })`.
 *
 * @module
 */
import type { AxiosStatic, InternalAxiosRequestConfig } from 'axios'
import { checkFetch } from '../../client/check-fetch.ts'
import { createFetch } from '../../client/create-fetch.ts'
import type { FetchOptions, HoldfastFetch } from '../../client/options.ts'
import { outcomeOf, setOutcome } from '../../client/outcome.ts'
import { RULES } from '../../client/settings/rules.ts'
import type { Fetch } from '../../http/fetch-types.ts'
import { checkKeys } from '../../primitives/validate.ts'
import { withBody } from './body.ts'
import { withForm } from './form.ts'
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
  const fetch = outcomeOnRequest(
    typeof options === 'function' ? given(options) : createFetch(checked(options)),
  )
  return async <Config extends object>(config: Config) => {
    // Loaded when it is first needed: the entry can be imported without axios.
    loading ??= loadAxios()
    const axios = await loading
    // Only axios calls adapters.
    const wanted = withBody(withForm(config as InternalAxiosRequestConfig))
    const send = axios.getAdapter('fetch', { ...wanted, env: { ...wanted.env, fetch } })
    /** The caller gets its own config back, which it may send again with another body. */
    const finished = <T>(result: T): T => {
      if (Reflect.get(Object(result) as object, 'config') === wanted)
        Object.assign(result as object, { config })
      return withOutcome(result)
    }
    return send(wanted).then(finished, (error: unknown) => {
      throw finished(error)
    }) as Promise<AxiosAnswer<Config>>
  }
}

/** Stores the outcome on the `Request` that axios made, by which `withOutcome` finds it for axios's result. */
function outcomeOnRequest(fetch: Fetch): Fetch {
  return async (request, init) => {
    const keep = <T>(result: T): T => {
      copyOutcome(result, request)
      return result
    }
    return fetch(request, init).then(keep, (error: unknown) => {
      throw keep(error)
    })
  }
}

function withOutcome<T>(result: T): T {
  copyOutcome(Reflect.get(Object(result) as object, 'request'), result)
  return result
}

function copyOutcome(from: unknown, to: unknown): void {
  const outcome = outcomeOf(from)
  if (outcome !== undefined) setOutcome(to, outcome)
}

function given(fetch: HoldfastFetch): HoldfastFetch {
  checkFetch('adapter', fetch)
  return fetch
}

/** Checked here as well, so that a message names `adapter` and not `createFetch`. */
function checked(options: FetchOptions): FetchOptions {
  checkKeys('adapter', options, Object.keys(RULES))
  return options
}
