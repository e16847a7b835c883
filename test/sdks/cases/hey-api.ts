import { createClient } from '@hey-api/client-fetch'
import { defineSdk, type Sdk } from '../sdk.ts'

/** A type and no interface: only such a one is a `Record` to the compiler. */
type Orders = { 200: { id: string } }

export const heyApi: Sdk = defineSdk({
  name: '@hey-api/client-fetch',
  api: () => Response.json({ id: 'o-17' }),
  plugged: (fetch, url) =>
    createClient({
      fetch,
      baseUrl: url,
    }),
  errorIn: 'error',
  read: async (client) =>
    (await client.get<Orders, unknown, true>({ url: '/orders', throwOnError: true })).data.id,
  write: async (client) => {
    const body = { item: 'anchor' }
    const headers = { 'Content-Type': 'application/json' }
    const sent = await client.post<Orders, unknown, true>({
      url: '/orders',
      body,
      headers,
      throwOnError: true,
    })
    return sent.data.id
  },
})
