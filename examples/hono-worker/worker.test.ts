import { createFetch } from 'holdfast'
import { faultServer, noBackoff, resetAfter } from 'holdfast/testing'
import { expect, onTestFinished, test } from 'vitest'
import worker from './worker.ts'

test('the worker places an order once when its answer is lost, and saves it by waitUntil', async () => {
  const waitedFor: Promise<unknown>[] = []
  const context = {
    waitUntil: (work: Promise<unknown>) => void waitedFor.push(work),
    passThroughOnException() {},
    props: {},
  }
  const handler = (request: Request) => worker.fetch(request, { REGION: 'eu' }, context)
  const server = await faultServer({ handler, faults: [resetAfter()] })
  onTestFinished(() => server.close())

  const fetch = createFetch({ ...noBackoff })
  const place = () => fetch(`${server.url}/orders`, { method: 'POST', body: '{"item":"anchor"}' })
  const response = await place()
  expect(response.headers.get('idempotent-replayed')).toBe('true')
  expect(await response.json()).toEqual({ id: 1, item: 'anchor', region: 'eu' })
  expect(await (await place()).json()).toMatchObject({ id: 2 })
  expect(waitedFor.length).toBeGreaterThan(0)
})
