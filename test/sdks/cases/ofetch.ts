import { createFetch as createOfetch } from 'ofetch'
import { defineSdk, type Sdk } from '../sdk.ts'

interface Order {
  readonly id: string
}

export const ofetch: Sdk = defineSdk({
  name: 'ofetch',
  api: () => Response.json({ id: 'o-17' }),
  plugged: (fetch, url) =>
    createOfetch({
      fetch,
      defaults: { retry: false, baseURL: url },
    }),
  asItComes: (fetch, url) => createOfetch({ fetch, defaults: { baseURL: url } }),
  ownAttempts: 2,
  errorIn: 'error.cause',
  read: async (client) => (await client<Order>('/orders')).id,
  write: async (client) => (await client<Order>('/orders', { method: 'POST', body: { item: 'anchor' } })).id,
})
