/** `holdfast/axios` under a real axios, against a loopback server that fails first. */
import { EventEmitter } from 'node:events'
import { Readable } from 'node:stream'
import axios, {
  isAxiosError,
  isCancel,
  type AxiosAdapter,
  type AxiosInstance,
  type CreateAxiosDefaults,
} from 'axios'
import { describe, expect, onTestFinished, test, vi } from 'vitest'
import { adapter } from '../../src/adapters/axios/index.ts'
import { loadAxios } from '../../src/adapters/axios/load-axios.ts'
import { createFetch, outcomeOf, type FetchOptions, type HoldfastEvent } from '../../src/index.ts'
import {
  faultServer,
  hang,
  noBackoff,
  ok,
  reset,
  status,
  type FaultServer,
  type FaultServerOptions,
} from '../../src/testing/index.ts'
import { expectNoUnhandledRejections } from '../client/support/unhandled.ts'
import { failureOf, until } from '../client/support/wait.ts'

expectNoUnhandledRejections()

interface Bench {
  readonly api: FaultServer
  readonly client: AxiosInstance
  readonly events: readonly HoldfastEvent[]
}

interface BenchOptions {
  readonly fetch?: FetchOptions
  readonly axios?: CreateAxiosDefaults
}

async function bench(server: FaultServerOptions, options: BenchOptions = {}): Promise<Bench> {
  const api = await faultServer(server)
  onTestFinished(() => api.close())
  const events: HoldfastEvent[] = []
  const onEvent = (event: HoldfastEvent): void => void events.push(event)
  const client = axios.create({
    ...options.axios,
    baseURL: api.url,
    adapter: adapter({ ...noBackoff, onEvent, ...options.fetch }),
  })
  return { api, client, events }
}

const echo: FaultServerOptions['handler'] = async (request) =>
  Response.json({ body: await request.text(), type: request.headers.get('content-type') })

/** Has no use for the whole body. */
async function endOf(init: RequestInit | undefined): Promise<Response> {
  const { body } = init as { body: ReadableStream }
  await body.cancel()
  throw new Error('enough')
}

const sizeOf = (value: string | File): number => (typeof value === 'string' ? value.length : value.size)

describe('a request through axios', () => {
  test('gets its answer in spite of failures, parsed as axios does', async () => {
    const { api, client } = await bench({ faults: [status(503), reset()] })
    const { data, status: code, headers } = await client.get('/items/1', { params: { full: true } })
    expect(data).toEqual({ ok: true })
    expect(code).toBe(200)
    expect(headers['content-type']).toContain('json')
    expect(api.requests.map(({ path }) => path)).toEqual(Array(3).fill('/items/1?full=true'))
  })

  test('a POST has one key, and the same body each time', async () => {
    const { api, client } = await bench({ handler: echo, faults: [reset(), status(500)] })
    const { data } = await client.post('/orders', { item: 'anchor' })
    expect(data).toEqual({ body: '{"item":"anchor"}', type: 'application/json' })
    const keys = api.requests.map(({ headers }) => headers['idempotency-key'])
    expect(new Set(keys).size).toBe(1)
    expect(keys).toHaveLength(3)
    expect(keys[0]).toMatch(/^[0-9a-f-]{36}$/)
  })

  test('takes options of a call in fetchOptions', async () => {
    const { api, client } = await bench({ faults: [status(503)] })
    await client.post('/orders', {}, { fetchOptions: { holdfast: { idempotencyKey: 'mine' } } })
    expect(api.requests.map(({ headers }) => headers['idempotency-key'])).toEqual(['mine', 'mine'])
    const off = client.get('/', { fetchOptions: { holdfast: { retry: false } } })
    expect(await off).toMatchObject({ status: 200 })
  })

  test('passes its interceptors once, however often it is sent', async () => {
    const { api, client } = await bench({ faults: [status(503), status(503)] })
    const passed: string[] = []
    client.interceptors.request.use((config) => {
      passed.push('request')
      config.headers.set('x-trace', String(passed.length))
      return config
    })
    client.interceptors.response.use((response) => {
      passed.push('response')
      return response
    })
    await client.get('/')
    expect(passed).toEqual(['request', 'response'])
    expect(api.requests.map(({ headers }) => headers['x-trace'])).toEqual(['1', '1', '1'])
  })

  test('sends a form with the same bytes each time', async () => {
    const bodies: string[] = []
    const files: unknown[] = []
    const { client } = await bench({
      handler: async (request) => {
        bodies.push(await request.clone().text())
        files.push((await request.formData()).get('name'))
        return new Response(null, { status: bodies.length < 3 ? 503 : 200 })
      },
    })
    const form = new FormData()
    form.set('name', 'anchor')
    form.set('file', new Blob(['bytes']), 'a.txt')
    await client.post('/', form)
    expect(bodies).toHaveLength(3)
    expect(new Set(bodies).size).toBe(1)
    expect(bodies[0]).toContain('name="file"; filename="a.txt"')
    expect(files).toEqual(Array(3).fill('anchor'))
  })

  test.each([{}, { onUploadProgress() {} }])(
    'sends a form by PUT, and what a form was given for, %o',
    async (options) => {
      const { client } = await bench({
        handler: async (request) => Response.json([...(await request.formData())]),
      })
      const form = new FormData()
      form.set('name', 'anchor')
      expect((await client.put('/', form, options)).data).toEqual([['name', 'anchor']])
      const typed = { headers: { 'content-type': 'application/x-www-form-urlencoded' } }
      expect((await client.post('/', 'name=rope', typed)).data).toEqual([['name', 'rope']])
    },
  )

  test.each([
    [undefined, undefined],
    ['multipart/form-data', undefined],
    ['multipart/form-data; boundary=own', 'multipart/form-data; boundary=own'],
  ])(
    'tells axios 1.12, which sends what it is told, no type of a form but a whole one: %s',
    async (type, told) => {
      const { client } = await bench({})
      const send: AxiosAdapter = async (config) => {
        const data: unknown = config.headers.getContentType()
        return { data, status: 200, statusText: '', headers: {}, config }
      }
      const spy = vi.spyOn(axios, 'getAdapter').mockImplementation(() => send)
      onTestFinished(() => spy.mockRestore())
      const headers = type === undefined ? {} : { 'content-type': type }
      expect((await client.post('/', new FormData(), { headers })).data ?? undefined).toBe(told)
    },
  )

  test.each([{}, { onUploadProgress() {} }, { maxBodyLength: 1e6 }])(
    'sends the forms that axios itself makes, with the same bytes each time, %o',
    async (options) => {
      const bodies: string[] = []
      const { client } = await bench({
        handler: async (request) => {
          bodies.push(await request.clone().text())
          const form = [...(await request.formData())].map(([name, value]) => [name, sizeOf(value)])
          return Response.json(form, { status: bodies.length < 3 ? 503 : 200 })
        },
      })
      const file = Readable.from([Buffer.alloc(100_000, 'a'), Buffer.alloc(100_000, 'b')])
      const form = { name: 'anchor', of: ['hemp', 'öl'], bytes: Buffer.from('bytes'), file }
      const { data } = await client.postForm('/', form, options)
      expect(data).toEqual([
        ['name', 6],
        ['of[]', 4],
        ['of[]', 2],
        ['bytes', 5],
        ['file', 200_000],
      ])
      expect(bodies).toHaveLength(3)
      expect(new Set(bodies).size).toBe(1)
    },
  )

  test('a form whose request is called off may go on', async () => {
    const { client } = await bench({}, { fetch: { fetch: (_, init) => endOf(init), retry: false } })
    const form = Object.assign(new EventEmitter(), {
      getHeaders: () => ({ 'content-type': 'multipart/form-data; boundary=x' }),
      pipe() {},
      pause() {},
      resume: () => form.emit('data', 'more'),
    })
    expect(await failureOf(client.post('/', form))).toMatchObject({ cause: { message: 'enough' } })
    form.emit('data', 'and more')
    form.emit('end')
  })

  test('a form whose file breaks is no request', async () => {
    const { api, client } = await bench({})
    const bug = new Error('bug')
    const file = new Readable({ read: () => void file.destroy(bug) })
    expect(await failureOf(client.postForm('/', { file }))).toMatchObject({ cause: bug })
    expect(api.requests).toEqual([])
  })

  test('tells the progress of a download', async () => {
    const { client } = await bench({
      handler: () => new Response('x'.repeat(100_000)),
      faults: [status(503)],
    })
    const loaded: number[] = []
    await client.get('/', { onDownloadProgress: (event) => void loaded.push(event.loaded) })
    expect(loaded.at(-1)).toBe(100_000)
  })

  test('tells the progress of an upload, which is sent again up to maxBufferBytes', async () => {
    const { api, client, events } = await bench({
      handler: echo,
      faults: [status(503), status(200), status(503)],
    })
    const loaded: number[] = []
    const onUploadProgress = (event: { loaded: number }): void => void loaded.push(event.loaded)
    await client.post('/', 'x'.repeat(2000), { onUploadProgress })
    expect(loaded.at(-1)).toBe(2000)
    expect(api.requests).toHaveLength(2)
    expect(await failureOf(client.post('/', 'x'.repeat(2_000_000), { onUploadProgress }))).toMatchObject({
      response: { status: 503 },
    })
    expect(loaded.at(-1)).toBe(2_000_000)
    expect(api.requests).toHaveLength(3)
    expect(events.map(({ type }) => type)).toContain('body-not-replayable')
  })

  test('gives a stream where one is asked for', async () => {
    const { client } = await bench({ faults: [status(503)] })
    const { data } = await client.get<ReadableStream<Uint8Array>>('/', { responseType: 'stream' })
    expect(await new Response(data).json()).toEqual({ ok: true })
  })
})

describe('a failure through axios', () => {
  test('a response that stays bad is an AxiosError with it', async () => {
    const { api, client } = await bench({ faults: () => status(500) })
    const error = await failureOf(client.get('/'))
    expect(isAxiosError(error) && error.response?.status).toBe(500)
    expect(api.requests).toHaveLength(5)
  })

  test('one that no retry would change is sent once', async () => {
    const { api, client } = await bench({ faults: () => status(404) })
    expect(await failureOf(client.get('/'))).toMatchObject({ response: { status: 404 } })
    expect(api.requests).toHaveLength(1)
  })

  test('an error of Holdfast keeps its code, and is the cause', async () => {
    const { client } = await bench(
      { faults: () => status(503) },
      { fetch: { retry: false, circuitBreaker: { minimumCalls: 1 } } },
    )
    await failureOf(client.get('/'))
    const error = await failureOf(client.get('/'))
    expect(isAxiosError(error) && error.code).toBe('ERR_CIRCUIT_OPEN')
    expect(isAxiosError(error) && outcomeOf(error.cause)?.attempts).toBe(0)
  })

  test('what it took can be asked of the error, and of a response', async () => {
    const { client } = await bench(
      { faults: [status(503), ok(), reset(), reset(), status(500)] },
      {
        fetch: { retry: { maxRetries: 1 } },
      },
    )
    expect(outcomeOf(await client.get('/'))?.attempts).toBe(2)
    const error = await failureOf(client.post('/', {}, { headers: { 'idempotency-key': 'mine' } }))
    expect(isAxiosError(error) && error.code).toBe('ERR_NETWORK')
    expect(outcomeOf(error)).toMatchObject({ attempts: 2, uncertain: true, idempotencyKey: 'mine' })
    const failed = await failureOf(client.get('/', { fetchOptions: { holdfast: { retry: false } } }))
    expect(isAxiosError(failed) && failed.response?.status).toBe(500)
    expect(outcomeOf(failed)?.attempts).toBe(1)
  })

  test.each(['signal', 'cancelToken'] as const)('an abort by %s ends it, and is no failure', async (kind) => {
    const { api, client, events } = await bench({ faults: () => hang() })
    const controller = new AbortController()
    const source = axios.CancelToken.source()
    const options = kind === 'signal' ? { signal: controller.signal } : { cancelToken: source.token }
    const work = failureOf(client.get('/', options))
    await until(() => api.requests.length === 1)
    controller.abort()
    source.cancel('no more')
    expect(isCancel(await work)).toBe(true)
    expect(outcomeOf(await work)).toMatchObject({ attempts: 1, uncertain: false })
    expect(events.filter(({ type }) => type === 'retry')).toEqual([])
  })

  test('its timeout is one for the whole call, of which it tells what it took', async () => {
    const { client } = await bench({ faults: () => hang() }, { axios: { timeout: 30 } })
    const error = await failureOf(client.post('/', {}))
    expect(isAxiosError(error) && error.code).toBe('ETIMEDOUT')
    // The request may be called off before the server has seen it.
    const idempotencyKey: unknown = expect.stringMatching(/^[\da-f-]{36}$/)
    expect(outcomeOf(error)).toMatchObject({ attempts: 1, uncertain: true, idempotencyKey })
  })
})

test('a fetch that is there already shares its circuits', async () => {
  const api = await faultServer()
  onTestFinished(() => api.close())
  const fetch = createFetch()
  const client = axios.create({ adapter: adapter(fetch) })
  await client.get(api.url)
  expect([...fetch.circuits].map(({ key }) => key)).toEqual([api.url])
})

test('the default instance can have it, too', async () => {
  const api = await faultServer({ faults: [status(503)] })
  onTestFinished(() => api.close())
  const before = axios.defaults.adapter
  onTestFinished(() => void Object.assign(axios.defaults, { adapter: before }))
  axios.defaults.adapter = adapter(noBackoff)
  expect((await axios.get(api.url)).status).toBe(200)
  expect(api.requests).toHaveLength(2)
})

test('a stream of Node has the same bytes each time', async () => {
  const { api, client } = await bench({ handler: echo, faults: [status(503)] })
  const { data } = await client.post('/', Readable.from([Buffer.from('one '), Buffer.from('two')]))
  expect(data).toMatchObject({ body: 'one two' })
  expect(api.requests).toHaveLength(2)
})

const long = 'x'.repeat(1.5 * 1024 * 1024)

describe('a body longer than maxBufferBytes', () => {
  test.each([
    ['text', long],
    ['an object', { long }],
    ['bytes', Buffer.from(long)],
    ['a Blob', new Blob([long])],
  ])('that is all here is sent again, and its length is known: %s', async (_, data) => {
    const { api, client, events } = await bench({ faults: [status(503), reset()] })
    expect((await client.post('/', data)).status).toBe(200)
    const lengths = api.requests.map(({ headers }) => Number(headers['content-length']))
    expect(lengths).toEqual(
      Array(3).fill(typeof data === 'object' && 'long' in data ? long.length + 11 : long.length),
    )
    expect(events.map(({ type }) => type)).not.toContain('body-not-replayable')
  })

  test('is sent once where its progress is told', async () => {
    const { api, client, events } = await bench(
      { faults: [status(503)] },
      { axios: { onUploadProgress() {} } },
    )
    await failureOf(client.post('/', long))
    expect(api.requests).toHaveLength(1)
    expect(events.map(({ type }) => type)).toContain('body-not-replayable')
  })
})

test('the bytes of a body are what they were at the call', async () => {
  const { api, client } = await bench({ recordBodies: true, faults: [status(503)] })
  const bytes = Buffer.from('before')
  const work = client.post('/', bytes)
  await until(() => api.requests.length > 0)
  bytes.fill('!')
  await work
  expect(api.requests.map(({ body }) => String(body && Buffer.from(body)))).toEqual(['before', 'before'])
})

test('a config that is sent again by an interceptor has what it has by then for a body', async () => {
  const { api, client } = await bench({ recordBodies: true, faults: [status(401)] })
  client.interceptors.response.use(undefined, (error: { config: { data: string } }) =>
    client.request({ ...error.config, data: 'another' }),
  )
  const { config } = await client.post('/', 'one')
  expect([config.data, config.fetchOptions]).toEqual(['another', undefined])
  expect(api.requests.map(({ body }) => String(body && Buffer.from(body)))).toEqual(['one', 'another'])
})

test('wrong options are refused', () => {
  expect(() => adapter({ retry: { maxRetries: -1 } })).toThrow(/retry\.maxRetries .*-1/)
  expect(() => adapter({ retries: 5 } as never)).toThrow(/^adapter has no option "retries"; it has fetch, /)
  for (const wrong of [globalThis.fetch, axios])
    expect(() => adapter(wrong as never)).toThrow(
      /^what adapter\(\) is given should be a fetch that createFetch has made/,
    )
})

describe('an axios that does not fit', () => {
  test.each(['1.11.0', '0.30.1'])('%s is too old', async (VERSION) => {
    const old = Object.assign(axios.create(), { ...axios, VERSION })
    await expect(loadAxios(async () => ({ default: old }))).rejects.toThrow(
      `holdfast/axios needs axios 1.12 or later, got ${VERSION}: npm i axios`,
    )
  })

  test('one that is missing', async () => {
    const missing = (): Promise<never> => Promise.reject(new Error('Cannot find package'))
    await expect(loadAxios(missing)).rejects.toThrow('holdfast/axios needs axios: npm i axios')
  })
})
