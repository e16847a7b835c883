/**
 * The client of the Orders API. Backoff, circuit breaker and idempotency keys are on, and nobody has to know of them.
 *
 * @module
 */
import { createFetch, outcomeOf, type FetchOptions, type HoldfastFetch } from 'holdfast'
import { httpCache } from 'holdfast/cache'
import createClient, { type Client } from 'openapi-fetch'
import { errorOf } from './errors.ts'
import type { components, paths } from './schema.ts'

export { OrdersError, type Problem } from './errors.ts'
// Callers tell failures apart without installing Holdfast themselves.
export { CircuitOpenError, isHoldfastError, outcomeOf } from 'holdfast'

export type NewOrder = components['schemas']['NewOrder']
export type PlacedOrder = components['schemas']['PlacedOrder']
export type OrderRows = components['schemas']['OrderRows']

export interface OrdersOptions {
  apiKey: string
  /** Default: the production API. */
  baseUrl?: string
  /** Changes how failures are met: any option of Holdfast's `createFetch`; `false` switches a part off. */
  resilience?: FetchOptions
}

export interface CallOptions {
  signal?: AbortSignal
}

export interface PlaceOptions extends CallOptions {
  /** Made for each call where it is left out. Keep it with the order, and the order survives your process too. */
  idempotencyKey?: string
}

export interface OrderList {
  readonly orders: readonly OrderRows[]
  /** Whether this is what the API said earlier, since it does not answer now. */
  readonly stale: boolean
}

export class Orders {
  /** For `circuits`, `observe()` and telemetry. */
  readonly fetch: HoldfastFetch
  readonly #client: Client<paths>

  constructor({ apiKey, baseUrl = 'https://orders.example.com', resilience }: OrdersOptions) {
    // One for each client, made once: circuits and budgets belong to it.
    this.fetch = createFetch({ cache: httpCache(), ...resilience })
    const headers = { Authorization: `Bearer ${apiKey}` }
    this.#client = createClient<paths>({ baseUrl, headers, fetch: this.fetch })
  }

  /** Places an order exactly once, however often it has to be sent. */
  async place(order: NewOrder, { idempotencyKey, signal }: PlaceOptions = {}): Promise<PlacedOrder> {
    const header = idempotencyKey === undefined ? {} : { 'Idempotency-Key': idempotencyKey }
    const { data, error, response } = await this.#client.POST('/orders', {
      body: order,
      params: { header },
      ...(signal && { signal }),
    })
    if (data === undefined) throw errorOf(response, error)
    return data
  }

  /** The orders; while the API is down, those that it told last. */
  async list({ signal }: CallOptions = {}): Promise<OrderList> {
    const { data, error, response } = await this.#client.GET('/orders', { ...(signal && { signal }) })
    if (data === undefined) throw errorOf(response, error)
    return { orders: data, stale: outcomeOf(response)?.source === 'cache' }
  }
}
