import { ApolloClient, gql, HttpLink, InMemoryCache } from '@apollo/client'
import { ADD, answer, ORDER, type Data } from '../graphql.ts'
import { defineSdk, type Sdk } from '../sdk.ts'

export const apollo: Sdk = defineSdk({
  name: '@apollo/client',
  api: answer,
  plugged: (fetch, url) =>
    new ApolloClient({
      cache: new InMemoryCache(),
      link: new HttpLink({ fetch, uri: url, useGETForQueries: true }),
    }),
  errorIn: 'error',
  read: async (client) => (await client.query<Data>({ query: gql(ORDER) })).data?.order.id,
  write: async (client) => (await client.mutate<Data>({ mutation: gql(ADD) })).data?.order.id,
})
