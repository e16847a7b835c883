import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createFetch } from 'holdfast'
import { faultServer, noBackoff, status } from 'holdfast/testing'

test('the order survives a 503', async (t) => {
  const api = await faultServer({ faults: [status(503)] })
  t.after(() => api.close())
  const fetch = createFetch({ ...noBackoff }) // without: a second of waiting
  assert.equal((await fetch(`${api.url}/orders`, { method: 'POST' })).status, 200)
  assert.equal(api.requests.length, 2)
})
