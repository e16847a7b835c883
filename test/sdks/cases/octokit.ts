import { Octokit } from '@octokit/core'
import { defineSdk, type Sdk } from '../sdk.ts'

export const octokit: Sdk = defineSdk({
  name: '@octokit/core',
  api: () => Response.json({ id: 'o-17' }),
  plugged: (fetch, url) =>
    new Octokit({
      auth: 'ghp_17',
      request: { fetch },
      baseUrl: url,
    }),
  errorIn: 'error.cause',
  read: async (client) => (await client.request('GET /orders/{id}', { id: 17 })).data.id,
  write: async (client) => (await client.request('POST /orders', { item: 'anchor' })).data.id,
})
