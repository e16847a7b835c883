import { createTRPCClient, httpBatchLink, type TRPCClient } from '@trpc/client'
import { initTRPC } from '@trpc/server'
import { fetchRequestHandler } from '@trpc/server/adapters/fetch'
import { defineSdk, type Sdk } from '../sdk.ts'

const t = initTRPC.create()
const router = t.router({
  order: t.procedure.query(() => ({ id: 'o-17' })),
  add: t.procedure.mutation(() => ({ id: 'o-17' })),
})
type Router = typeof router
export type TrpcClient = TRPCClient<Router>

export const trpc: Sdk = defineSdk({
  name: '@trpc/client',
  api: (req) => fetchRequestHandler({ endpoint: '', req, router }),
  plugged: (fetch, url): TrpcClient =>
    createTRPCClient<Router>({
      links: [httpBatchLink({ url, fetch })],
    }),
  errorIn: 'error.cause',
  read: async (client) => (await client.order.query()).id,
  write: async (client) => (await client.add.mutate()).id,
})
