import { afterAll, expect, test } from '@jest/globals'
import { createFetch } from 'holdfast'
import { faultServer, noBackoff, status } from 'holdfast/testing'

const api = await faultServer({ faults: [status(503)] })
afterAll(() => api.close())

test('an order that had to be sent twice has one key', async () => {
  const fetch = createFetch({ ...noBackoff })
  expect((await fetch(`${api.url}/orders`, { method: 'POST' })).status).toBe(200)
  const keys = api.requests.map(({ headers }) => headers['idempotency-key'])
  expect(keys).toEqual([expect.any(String), keys[0]])
})
