import { GraphQLClient } from 'graphql-request'
import { ADD, answer, ORDER, type Data } from '../graphql.ts'
import { defineSdk, type Sdk } from '../sdk.ts'

export const graphqlRequest: Sdk = defineSdk({
  name: 'graphql-request',
  api: answer,
  plugged: (fetch, url) =>
    new GraphQLClient(url, {
      fetch,
    }),
  errorIn: 'error',
  read: async (client) => (await client.request<Data>(ORDER)).order.id,
  write: async (client) => (await client.request<Data>(ADD)).order.id,
})
