import { Stripe } from 'stripe'
import { defineSdk, type Sdk } from '../sdk.ts'

const originOf = (url: string) => {
  const { hostname, port } = new URL(url)
  return { host: hostname, port, protocol: 'http' } as const
}

export const stripe: Sdk = defineSdk({
  name: 'stripe',
  api: () => Response.json({ id: 'o-17', object: 'customer' }),
  plugged: (fetch, url) =>
    new Stripe('sk_test_17', {
      httpClient: Stripe.createFetchHttpClient(fetch),
      maxNetworkRetries: 0,
      ...originOf(url),
    }),
  asItComes: (fetch, url) =>
    new Stripe('sk_test_17', { httpClient: Stripe.createFetchHttpClient(fetch), ...originOf(url) }),
  ownAttempts: 3,
  errorIn: 'error.detail',
  read: async (client) => (await client.customers.retrieve('o-17')).id,
  write: async (client) => (await client.customers.create({ name: 'Ann' })).id,
})
