import ky from 'ky'
import { defineSdk, type Sdk } from '../sdk.ts'

interface Order {
  readonly id: string
}

export const kyClient: Sdk = defineSdk({
  name: 'ky',
  api: () => Response.json({ id: 'o-17' }),
  plugged: (fetch, url) =>
    ky.create({
      fetch,
      retry: 0,
      timeout: false,
      prefix: url,
    }),
  asItComes: (fetch, url) => ky.create({ fetch, prefix: url }),
  ownAttempts: 3,
  errorIn: 'error',
  read: async (client) => (await client.get('orders').json<Order>()).id,
  write: async (client) => (await client.post('orders', { json: { item: 'anchor' } }).json<Order>()).id,
})
