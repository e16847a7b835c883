import { createFetch, type HoldfastFetch } from 'holdfast'
import { faultServer, noBackoff, resetAfter, type Fault } from 'holdfast/testing'
import { describe, expect, onTestFinished, test } from 'vitest'
import { testServersAreThere } from '../../test/support/left-out.ts'
import { pgPool, postgresUrl, temporarySchema } from '../../test/support/postgres.ts'
import { urlOf } from '../../test/support/servers.ts'
import { ordersApp } from './app.ts'

const url = await urlOf(postgresUrl)
testServersAreThere()

const anchor = { item: 'anchor', address: 'Pier 17' }

interface Shop {
  readonly place: (order: { item: string; address?: string }, key: string) => Promise<Response>
  readonly list: () => Promise<unknown>
}

/** The app over a schema of the test's own, behind a server that fails as told. */
async function shop(faults: Fault[], fetch: HoldfastFetch): Promise<Shop> {
  const schema = await temporarySchema()
  const pool = pgPool(url ?? '', { search_path: `"${schema.name}"` })
  const server = await faultServer({ listener: await ordersApp(pool, schema.name), faults })
  onTestFinished(async () => {
    await server.close()
    await pool.end()
    await schema[Symbol.asyncDispose]()
  })
  const headers = { 'Content-Type': 'application/json' }
  return {
    place: (order, idempotencyKey) => {
      const body = JSON.stringify(order)
      return fetch(`${server.url}/orders`, { method: 'POST', headers, body, holdfast: { idempotencyKey } })
    },
    list: async () => (await fetch(`${server.url}/orders`)).json(),
  }
}

describe.skipIf(url === undefined)('Express and Postgres', () => {
  test('an order whose answer is lost is placed once', async () => {
    const { place, list } = await shop([resetAfter()], createFetch({ ...noBackoff }))
    const response = await place(anchor, 'k1')
    expect(response.status).toBe(201)
    expect(response.headers.get('idempotent-replayed')).toBe('true')
    expect(await response.json()).toEqual({ id: 1 })
    expect(await list()).toEqual([{ id: 1, item: 'anchor' }])
  })

  test('a transaction that fails leaves neither an order nor a key', async () => {
    const { place, list } = await shop([], createFetch({ ...noBackoff, retry: false }))
    expect((await place({ item: 'anchor' }, 'k1')).status).toBe(500)
    expect(await list()).toEqual([])
    expect((await place(anchor, 'k1')).status).toBe(201)
    expect(await list()).toHaveLength(1)
  })
})
