import { createFetch } from 'holdfast'
import { faultServer, noBackoff, resetAfter } from 'holdfast/testing'
import { expect, onTestFinished, test } from 'vitest'
import { GET, POST } from './app/orders/[id]/route.ts'

test('the route adds an item once when its answer is lost', async () => {
  const context = { params: Promise.resolve({ id: '17' }) }
  const handler = (request: Request) => (request.method === 'POST' ? POST : GET)(request, context)
  const server = await faultServer({ handler, faults: [resetAfter()] })
  onTestFinished(() => server.close())

  const fetch = createFetch({ ...noBackoff })
  const response = await fetch(`${server.url}/orders/17`, { method: 'POST', body: '{"item":"anchor"}' })
  expect(response.status).toBe(201)
  expect(response.headers.get('idempotent-replayed')).toBe('true')
  expect(await (await fetch(`${server.url}/orders/17`)).json()).toEqual({ id: '17', items: ['anchor'] })
})
