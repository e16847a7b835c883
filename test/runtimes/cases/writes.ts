import { createFetch, outcomeOf } from '../../../src/index.ts'
import { reset, status, times } from '../../../src/testing/fault-server/faults.ts'
import { check, rejection, same, type Arrived, type Case, type World } from './case.ts'

const quick = { retry: { baseDelayMs: 10 } }
const keysOf = (requests: readonly Arrived[]): (string | undefined)[] =>
  requests.map(({ headers }) => headers['idempotency-key'])

/** Sends a body whose first attempt fails; what the API got of each attempt. */
async function sentTwice(world: World, body: () => NonNullable<RequestInit['body']>): Promise<Arrived[]> {
  const api = await world.api(status(503))
  const response = await createFetch(quick)(api.url, { method: 'POST', body: body() })
  same(response.status, 200, 'status')
  const requests = [...(await api.requests())]
  same(requests.length, 2, 'requests')
  return requests
}

const bytes = new TextEncoder().encode('bytes to keep')

const kinds: readonly (readonly [
  name: string,
  body: () => NonNullable<RequestInit['body']>,
  sent: string,
])[] = [
  ['a string', () => 'text ü', 'text ü'],
  ['URLSearchParams', () => new URLSearchParams({ a: '1', b: '2' }), 'a=1&b=2'],
  ['a typed array', () => bytes.slice(), 'bytes to keep'],
  ['an ArrayBuffer', () => bytes.slice().buffer, 'bytes to keep'],
  ['a Blob', () => new Blob(['in a ', 'blob'], { type: 'text/x-own' }), 'in a blob'],
]

const bodyCases: readonly Case[] = kinds.map(([kind, body, sent]) => ({
  name: `${kind} is sent again as it was`,
  async run(world) {
    const requests = await sentTwice(world, body)
    same(
      requests.map((request) => request.body),
      [sent, sent],
      'bodies',
    )
    const [first, second] = requests.map(({ headers }) => headers['content-type'] ?? '')
    same(second, first, 'content type')
  },
}))

export const writeCases: readonly Case[] = [
  ...bodyCases,
  {
    name: 'FormData is sent again with the same boundary',
    async run(world) {
      const [first, second] = await sentTwice(world, () => {
        const form = new FormData()
        form.append('field', 'value')
        form.append('file', new Blob(['content']), 'name.txt')
        return form
      })
      same(second?.body, first?.body, 'body')
      same(second?.headers['content-type'], first?.headers['content-type'], 'content type')
      check(first?.body.includes('name.txt') ?? false, 'the file is missing')
    },
  },
  {
    name: "a Request's body is sent again",
    async run(world) {
      const api = await world.api(status(503))
      const request = new Request(api.url, { method: 'POST', body: 'of a request' })
      const response = await createFetch(quick)(request)
      same(response.status, 200, 'status')
      const sent = (await api.requests()).map(({ body }) => body)
      same(sent, ['of a request', 'of a request'], 'bodies')
    },
  },
  {
    name: 'a stream is sent again where the caller makes a new one',
    notIn: { page: 'browsers stream uploads over HTTP/2 only' },
    async run(world) {
      const api = await world.api(status(503))
      const body = (): ReadableStream<Uint8Array> =>
        new ReadableStream({
          start(controller) {
            controller.enqueue(bytes)
            controller.close()
          },
        })
      const response = await createFetch(quick)(api.url, { method: 'POST', holdfast: { body } })
      same(response.status, 200, 'status')
      const sent = (await api.requests()).map((request) => request.body)
      same(sent, ['bytes to keep', 'bytes to keep'], 'bodies')
    },
  },
  {
    name: 'a POST has one key, the same on every attempt',
    async run(world) {
      const api = await world.api(status(503), reset())
      const response = await createFetch(quick)(api.url, { method: 'POST', body: '{}' })
      same(response.status, 200, 'status')
      const keys = keysOf(await api.requests())
      check(/^[0-9a-f-]{36}$/.test(keys[0] ?? ''), `the key is ${keys[0]}`)
      same(keys, [keys[0], keys[0], keys[0]], 'keys')
      same(outcomeOf(response)?.idempotencyKey, keys[0], "the outcome's key")
    },
  },
  {
    name: 'two POSTs have two keys, a GET has none',
    async run(world) {
      const api = await world.api()
      const fetch = createFetch(quick)
      for (const method of ['POST', 'POST', 'GET']) await fetch(api.url, { method })
      const [first, second, third] = keysOf(await api.requests())
      check(first !== undefined && second !== undefined && first !== second, `${first} and ${second}`)
      same(third, undefined, 'key of the GET')
    },
  },
  {
    name: 'a POST without a key is not sent again',
    async run(world) {
      const api = await world.api(status(503))
      const fetch = createFetch({ ...quick, idempotency: { honoredBy: [] } })
      same((await fetch(api.url, { method: 'POST', body: '{}' })).status, 503, 'status')
      same(keysOf(await api.requests()), [undefined], 'keys')
    },
  },
  {
    name: 'outcomeOf an error tells the key and that the outcome is uncertain',
    async run(world) {
      const api = await world.api(...times(4, reset()))
      const fetch = createFetch({ retry: { baseDelayMs: 10, maxRetries: 1 } })
      const error = await rejection(fetch(api.url, { method: 'POST', body: '{}' }))
      const outcome = outcomeOf(error)
      const [key] = keysOf(await api.requests())
      same([outcome?.uncertain, outcome?.attempts, outcome?.idempotencyKey], [true, 2, key], 'outcome')
    },
  },
]
