import { createFetch, outcomeOf } from '../../../src/index.ts'
import { reset, status, times, truncate } from '../../../src/testing/fault-server/faults.ts'
import { check, rejection, same, type Case } from './case.ts'

const quick = { baseDelayMs: 10 }

export const retryCases: readonly Case[] = [
  {
    name: 'a 503 is tried again until it is a 200',
    async run(world) {
      const api = await world.api(status(503), status(503))
      const response = await createFetch({ retry: quick })(api.url)
      same(await response.json(), { ok: true }, 'body')
      same(outcomeOf(response)?.attempts, 3, 'attempts')
      same((await api.requests()).length, 3, 'requests')
    },
  },
  {
    name: 'a reset connection is tried again',
    async run(world) {
      const api = await world.api(...times(3, reset()))
      const response = await createFetch({ retry: quick })(api.url)
      same(response.status, 200, 'status')
      // Not four: some runtimes send a request once more by themselves.
      check((outcomeOf(response)?.attempts ?? 0) > 1, 'it was not tried again')
    },
  },
  {
    name: 'a 404 is final',
    async run(world) {
      const api = await world.api(status(404))
      const response = await createFetch({ retry: quick })(api.url)
      same([response.status, outcomeOf(response)?.attempts], [404, 1], 'status, attempts')
    },
  },
  {
    name: 'the last response is returned as it is when retries are used up',
    async run(world) {
      const api = await world.api(status(503), status(502, { body: 'the last one' }))
      const response = await createFetch({ retry: { ...quick, maxRetries: 1 } })(api.url)
      same([response.status, await response.text()], [502, 'the last one'], 'response')
    },
  },
  {
    name: 'the last network failure is thrown as the runtime made it',
    async run(world) {
      const api = await world.api(...times(4, reset()))
      const error = await rejection(createFetch({ retry: { ...quick, maxRetries: 1 } })(api.url))
      check(
        error instanceof Error && !('code' in error && error.code === 'ERR_INVALID_OPTION'),
        String(error),
      )
      same(outcomeOf(error)?.attempts, 2, 'attempts')
    },
  },
  {
    name: 'Retry-After is a lower bound of the delay',
    async run(world) {
      const api = await world.api(
        status(503, { retryAfter: 1 }),
        status(429, { headers: { 'retry-after-ms': '50' } }),
      )
      const response = await createFetch({ retry: { baseDelayMs: 1 } })(api.url)
      const [first = 0, second = 0] = outcomeOf(response)?.delaysMs ?? []
      same(response.status, 200, 'status')
      check(first >= 1000 && second >= 50 && second < 1000, `delays of ${first} and ${second} ms`)
    },
  },
  {
    name: 'an abort ends a backoff at once, with its reason',
    async run(world) {
      const api = await world.api(status(503))
      const controller = new AbortController()
      const reason = new Error('enough')
      const fetch = createFetch({
        retry: { baseDelayMs: 30_000 },
        onEvent: ({ type }) => type === 'retry' && setTimeout(() => controller.abort(reason), 20),
      })
      const error = await rejection(fetch(api.url, { signal: controller.signal }))
      check(error === reason, `rejected with ${String(error)}`)
      same((await api.requests()).length, 1, 'requests')
    },
  },
  {
    name: 'a download that breaks goes on where it broke',
    async run(world) {
      const api = await world.api(truncate({ afterBytes: 5 }))
      const response = await createFetch({ retry: { ...quick, resumeBody: true } })(`${api.url}/file`)
      same(await response.json(), { ok: true }, 'body')
      const [first, rest] = (await api.requests()).map(({ headers }) => headers['range'])
      check(first === undefined && /^bytes=[0-5]-$/.test(rest ?? ''), `the rest was asked for as ${rest}`)
    },
  },
  {
    name: 'a Request is taken like a URL',
    async run(world) {
      const api = await world.api(status(503))
      const request = new Request(api.url, { headers: { 'x-own': 'kept' } })
      const response = await createFetch({ retry: quick })(request)
      same(response.status, 200, 'status')
      const seen = (await api.requests()).map(({ headers }) => headers['x-own'])
      same(seen, ['kept', 'kept'], 'header of each attempt')
    },
  },
]
