import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { expect, test } from 'vitest'
import { openDatabase } from '../../../stores/sqlite/driver.ts'
import { makeOrders, orderRequest } from '../order.ts'
import { ordersApi } from './orders-api.ts'

async function startApi(): Promise<
  AsyncDisposable & { place(key?: string): Promise<Response>; rows(): Promise<unknown> }
> {
  const database = await openDatabase(':memory:')
  const server = createServer(ordersApi(database))
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/orders`
  return {
    place(key) {
      const init = orderRequest(makeOrders(8)[7]!, new AbortController().signal)
      const headers = new Headers(init.headers)
      if (key !== undefined) headers.set('idempotency-key', key)
      return fetch(url, { ...init, headers })
    },
    rows: async () => (await fetch(url)).json(),
    async [Symbol.asyncDispose]() {
      server.closeAllConnections()
      await new Promise((resolve) => server.close(resolve))
      database.close()
    },
  }
}

test('an order is a row', async () => {
  await using api = await startApi()
  const response = await api.place()
  expect(response.status).toBe(201)
  expect(await response.json()).toEqual({ order: 7, id: 1 })
  expect(await api.rows()).toEqual([{ number: 7, rows: 1 }])
})

test('the same order with the same key is the same row', async () => {
  await using api = await startApi()
  await api.place('k1')
  const again = await api.place('k1')
  expect(again.headers.get('idempotent-replayed')).toBe('true')
  expect(await again.json()).toEqual({ order: 7, id: 1 })
  expect(await api.rows()).toEqual([{ number: 7, rows: 1 }])
})

test('without a key it is another row each time: nothing but the key keeps it from that', async () => {
  await using api = await startApi()
  await api.place()
  await api.place()
  expect(await api.rows()).toEqual([{ number: 7, rows: 2 }])
})
