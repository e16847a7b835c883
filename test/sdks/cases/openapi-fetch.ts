import createClient from 'openapi-fetch'
import type { Paths } from '../orders-api.ts'
import { defineSdk, type Sdk } from '../sdk.ts'

/** A response that is an error is returned by it, not thrown. */
function idOf({ data, response }: { data?: { id: string }; response: Response }): string {
  if (data === undefined) throw new Error(`openapi-fetch: ${response.status}`)
  return data.id
}

export const openapiFetch: Sdk = defineSdk({
  name: 'openapi-fetch',
  api: () => Response.json({ id: 'o-17' }),
  plugged: (fetch, url) =>
    createClient<Paths>({
      fetch,
      baseUrl: url,
    }),
  errorIn: 'error',
  read: async (client) => idOf(await client.GET('/orders')),
  write: async (client) => idOf(await client.POST('/orders', { body: { item: 'anchor' } })),
})
