import { createFetch } from '../../../src/index.ts'
import { status } from '../../../src/testing/fault-server/faults.ts'
import { check, rejection, same, type Arrived, type Case } from './case.ts'

const post = { method: 'POST', body: 'plain' }
const methodsOf = (requests: readonly Arrived[]): string[] => requests.map(({ method }) => method)
const keysOf = (requests: readonly Arrived[]): boolean[] =>
  requests.map(({ headers }) => headers['idempotency-key'] !== undefined)

/** What holds in a page that asks its own origin and a foreign one. */
export const corsCases: readonly Case[] = [
  {
    name: "the page's own origin gets a key, without a preflight",
    async run(world) {
      const api = await world.api()
      await createFetch()(api.url, post)
      const requests = await api.requests()
      same([methodsOf(requests), keysOf(requests)], [['POST'], [true]], 'requests')
    },
  },
  {
    name: "a foreign origin gets no key by 'all', and so no preflight",
    async run(world) {
      const api = await world.foreignApi('')
      same((await createFetch()(api.url, post)).status, 200, 'status')
      const requests = await api.requests()
      same([methodsOf(requests), keysOf(requests)], [['POST'], [false]], 'requests')
    },
  },
  {
    name: 'a POST to it is then not sent again',
    async run(world) {
      const api = await world.foreignApi('', status(503))
      same((await createFetch({ retry: { baseDelayMs: 10 } })(api.url, post)).status, 503, 'status')
      same(methodsOf(await api.requests()), ['POST'], 'requests')
    },
  },
  {
    name: 'a foreign origin that is listed gets a key after a preflight that allows it, the same on every attempt',
    async run(world) {
      const api = await world.foreignApi('Idempotency-Key', status(503))
      const fetch = createFetch({
        retry: { baseDelayMs: 10 },
        idempotency: { honoredBy: [new URL(api.url).origin] },
      })
      same((await fetch(api.url, post)).status, 200, 'status')
      const requests = await api.requests()
      check(methodsOf(requests)[0] === 'OPTIONS', `requests: ${methodsOf(requests).join(' ')}`)
      const [asked] = requests
      same(asked?.headers['access-control-request-headers'], 'idempotency-key', 'what the preflight asks for')
      const sent = requests.filter(({ method }) => method === 'POST')
      same(
        [keysOf(sent), new Set(sent.map(({ headers }) => headers['idempotency-key'])).size],
        [[true, true], 1],
        'POSTs',
      )
    },
  },
  {
    name: 'a foreign origin that is listed but does not allow the header gets no POST at all',
    async run(world) {
      const api = await world.foreignApi('Content-Type')
      const fetch = createFetch({
        retry: { baseDelayMs: 10, maxRetries: 1 },
        idempotency: { honoredBy: [new URL(api.url).origin] },
      })
      check((await rejection(fetch(api.url, post))) instanceof TypeError, 'a TypeError')
      same(methodsOf(await api.requests()).includes('POST'), false, 'whether a POST was sent')
    },
  },
  {
    name: 'a GET of a foreign origin is tried again',
    async run(world) {
      const api = await world.foreignApi('', status(503))
      same((await createFetch({ retry: { baseDelayMs: 10 } })(api.url)).status, 200, 'status')
      same(methodsOf(await api.requests()), ['GET', 'GET'], 'requests')
    },
  },
  {
    name: 'a no-cors POST has no key, and its opaque response is a success',
    async run(world) {
      const api = await world.foreignApi('', status(503))
      const fetch = createFetch({ idempotency: { honoredBy: [new URL(api.url).origin] } })
      same((await fetch(api.url, { ...post, mode: 'no-cors' })).type, 'opaque', 'type')
      same(keysOf(await api.requests()), [false], 'keys')
    },
  },
]
