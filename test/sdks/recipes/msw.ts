import { createFetch } from 'holdfast'
import { noBackoff } from 'holdfast/testing'
import { http, HttpResponse } from 'msw'
import { setupServer } from 'msw/node'
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest'

const api = setupServer()
beforeAll(() => api.listen({ onUnhandledRequest: 'error' }))
afterEach(() => api.resetHandlers())
afterAll(() => api.close())

test('the order survives an API that breaks down once', async () => {
  const url = 'https://api.example.com/orders'
  api.use(
    http.post(url, () => HttpResponse.error(), { once: true }), // the connection is lost
    http.post(url, ({ request }) => HttpResponse.json({ key: request.headers.get('idempotency-key') })),
  )
  const fetch = createFetch({ ...noBackoff })
  const response = await fetch(url, { method: 'POST', body: '{}' })
  expect(await response.json()).toEqual({ key: expect.any(String) })
})
