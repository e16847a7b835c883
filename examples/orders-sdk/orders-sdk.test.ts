import {
  faultServer,
  noBackoff,
  ok,
  reset,
  resetAfter,
  status,
  times,
  type Fault,
  type FaultServer,
} from 'holdfast/testing'
import { expect, onTestFinished, test } from 'vitest'
import { ordersApi } from '../../src/cli/demo/api/orders-api.ts'
import { openDatabase } from '../../src/stores/sqlite/driver.ts'
import { CircuitOpenError, Orders, OrdersError, outcomeOf, type OrdersOptions } from './src/index.ts'

const anchor = { number: 1, item: 'anchor', quantity: 2 }

/** The API of the demo, which fails as told, and a client of it. */
async function shop(
  faults: (Fault | Fault[])[] = [],
  resilience: OrdersOptions['resilience'] = {},
): Promise<{ server: FaultServer; orders: Orders }> {
  const database = await openDatabase(':memory:')
  const server = await faultServer({ listener: ordersApi(database), faults })
  onTestFinished(async () => {
    await server.close()
    database.close()
  })
  const options = { apiKey: 'key-17', baseUrl: server.url, resilience: { ...noBackoff, ...resilience } }
  return { server, orders: new Orders(options) }
}

const rowsOf = async (orders: Orders): Promise<unknown> => (await orders.list()).orders

test('an order is placed once, through a 503, a reset and a lost answer', async () => {
  const { server, orders } = await shop([status(503), reset(), resetAfter()])
  expect(await orders.place(anchor)).toEqual({ order: 1, id: 1 })
  expect(server.requests).toHaveLength(4)
  expect(new Set(server.requests.map(({ headers }) => headers['idempotency-key'])).size).toBe(1)
  expect(await rowsOf(orders)).toEqual([{ number: 1, rows: 1 }])
})

test('the same order twice is two orders', async () => {
  const { orders } = await shop()
  expect((await orders.place(anchor)).id).toBe(1)
  expect((await orders.place(anchor)).id).toBe(2)
})

test('an order that is sent again with its key is one, from another client too', async () => {
  const { server, orders } = await shop()
  const sent = await orders.place(anchor, { idempotencyKey: 'order-1' })
  const another = new Orders({ apiKey: 'key-17', baseUrl: server.url })
  expect(await another.place(anchor, { idempotencyKey: 'order-1' })).toEqual(sent)
  expect(await rowsOf(orders)).toEqual([{ number: 1, rows: 1 }])
})

test('a refusal is an OrdersError with the problem', async () => {
  const { orders } = await shop()
  await orders.place(anchor, { idempotencyKey: 'order-1' })
  const other = { ...anchor, quantity: 3 }
  const error = await orders.place(other, { idempotencyKey: 'order-1' }).catch((error: unknown) => error)
  expect(error).toBeInstanceOf(OrdersError)
  expect(error).toMatchObject({ status: 422, problem: { code: 'key-reused' }, uncertain: false })
})

test('whoever gave up knows whether the order may be there, and the key to ask again', async () => {
  const { server, orders } = await shop([resetAfter()], { retry: false })
  const outcome = outcomeOf(await orders.place(anchor).catch((error: unknown) => error))
  expect(outcome?.uncertain).toBe(true)
  const { idempotencyKey } = outcome ?? {}
  expect(idempotencyKey).toBe(server.requests[0]?.headers['idempotency-key'])
  expect(await orders.place(anchor, { ...(idempotencyKey && { idempotencyKey }) })).toEqual({
    order: 1,
    id: 1,
  })
})

test('an answer of a gateway is an OrdersError too', async () => {
  const { orders } = await shop([times(5, status(503, { body: '<h1>Unavailable</h1>' }))])
  const error = await orders.place(anchor).catch((error: unknown) => error)
  expect(error).toMatchObject({ name: 'OrdersError', status: 503, problem: undefined })
  expect(error).toMatchObject({ uncertain: true, idempotencyKey: expect.any(String) as string })
})

test('while the API is down its last list is shown, and is said to be old', async () => {
  const { orders } = await shop([ok(), ok(), times(5, status(503))])
  await orders.place(anchor)
  const list = [{ number: 1, rows: 1 }]
  expect(await orders.list()).toEqual({ orders: list, stale: false })
  expect(await orders.list()).toEqual({ orders: list, stale: true })
  expect(await orders.list()).toEqual({ orders: list, stale: false })
})

test('an open circuit spares the API and tells the caller when to come again', async () => {
  const { server, orders } = await shop()
  orders.fetch.circuits.get(server.url).isolate()
  await expect(orders.place(anchor)).rejects.toBeInstanceOf(CircuitOpenError)
  expect(server.requests).toHaveLength(0)
})

test('the caller’s abort reaches a call', async () => {
  const { orders } = await shop()
  const signal = AbortSignal.abort(new Error('changed my mind'))
  await expect(orders.place(anchor, { signal })).rejects.toThrow('changed my mind')
  await expect(orders.list({ signal })).rejects.toThrow('changed my mind')
})

test('it signs in', async () => {
  const { server, orders } = await shop()
  await orders.list()
  expect(server.requests[0]?.headers['authorization']).toBe('Bearer key-17')
})
