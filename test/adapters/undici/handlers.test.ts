/** What a handler of the caller is told, in its own form, over HTTP/1.1 and HTTP/2. */
import { constants, createServer as createHttp2Server, type ServerHttp2Stream } from 'node:http2'
import { createServer } from 'node:http'
import { connect, type AddressInfo, type Server } from 'node:net'
import { describe, expect, onTestFinished, test } from 'vitest'
import type { AnyHandler } from '../../../src/adapters/undici/dispatch.ts'
import { interceptor, transport, type InterceptorOptions } from '../../../src/adapters/undici/index.ts'
import type { Transport } from '../../../src/index.ts'
import { noBackoff, status } from '../../../src/testing/index.ts'
import { expectNoUnhandledRejections } from '../../client/support/unhandled.ts'
import { failureOf } from '../../client/support/wait.ts'
import { refusingPort } from '../../support/refusing.ts'
import { bench } from './support.ts'
import { versions, type UndiciModule } from './versions.ts'

expectNoUnhandledRejections()

type Told = readonly [event: string, ...details: unknown[]]
type Options = Parameters<InstanceType<UndiciModule['Agent']>['dispatch']>[0]
type Handler = Parameters<InstanceType<UndiciModule['Agent']>['dispatch']>[1]
type Dispatcher = Pick<InstanceType<UndiciModule['Agent']>, 'dispatch'>

/** Everything that a handler of the form of undici 7 is told. */
function toldNew(dispatcher: Dispatcher, options: Options): Promise<Told[]> {
  const told: Told[] = []
  return new Promise((resolve) => {
    const handler: Handler = {
      onRequestStart: () => void told.push(['start']),
      onResponseStart(_controller, code, headers, message) {
        told.push(['head', code, headers['x-try'], message])
      },
      onResponseData: (_controller, chunk) => void told.push(['data', chunk.toString()]),
      onResponseEnd(_controller, trailers) {
        told.push(['end', { ...trailers }])
        resolve(told)
      },
      onResponseError(_controller, error) {
        told.push(['error', error])
        resolve(told)
      },
    }
    dispatcher.dispatch(options, handler)
  })
}

/** The same in the form of undici 6. */
function toldOld(dispatcher: Dispatcher, options: Options): Promise<Told[]> {
  const told: Told[] = []
  const textOf = (raw: readonly Buffer[] | null): string[] => (raw ?? []).map(String)
  return new Promise((resolve) => {
    const handler = {
      onConnect: () => void told.push(['start']),
      onHeaders(code: number, raw: readonly Buffer[], _resume: () => void, message: string) {
        const headers = textOf(raw)
        told.push(['head', code, headers[headers.indexOf('x-try') + 1], message])
        return true
      },
      onData(chunk: Buffer) {
        told.push(['data', chunk.toString()])
        return true
      },
      onComplete(raw: readonly Buffer[] | null) {
        const [name, value] = textOf(raw)
        told.push(['end', name === undefined ? {} : { [name]: value }])
        resolve(told)
      },
      onError(error: Error) {
        told.push(['error', error])
        resolve(told)
      },
    }
    dispatcher.dispatch(options, handler as unknown as Handler)
  })
}

async function portOf(server: Server): Promise<number> {
  await new Promise<void>((resolve) => void server.listen(0, '127.0.0.1', resolve))
  onTestFinished(() => void server.close())
  return (server.address() as AddressInfo).port
}

/** Fails twice, then answers; each answer says which it is, in headers, body and trailers. */
function failingTwice(): Server {
  let tries = 0
  return createServer((_request, response) => {
    const code = ++tries < 3 ? 503 : 200
    response.writeHead(code, { 'x-try': `${tries}`, trailer: 'x-sum' })
    response.write(`body ${tries}`)
    response.addTrailers({ 'x-sum': `${tries}` })
    response.end()
  })
}

function failingTwiceOverHttp2(): Server {
  let tries = 0
  const server = createHttp2Server()
  server.on('stream', (stream: ServerHttp2Stream) => {
    const code = ++tries < 3 ? 503 : 200
    const trailer = `${tries}`
    stream.on('error', () => {})
    stream.on('wantTrailers', () => stream.sendTrailers({ 'x-sum': trailer }))
    stream.respond({ ':status': code, 'x-try': trailer }, { waitForTrailers: true })
    stream.end(`body ${trailer}`)
  })
  return server
}

/** Sends the first half of a file and resets the stream; the rest when it is asked for. */
function cuttingOverHttp2(asked: unknown[]): Server {
  const server = createHttp2Server()
  server.on('stream', (stream: ServerHttp2Stream, { range, 'if-range': condition }) => {
    asked.push([range, condition])
    stream.on('error', () => {})
    const start = Number(/\d+/.exec(range ?? '')?.[0] ?? 0)
    const part = { ':status': 206, 'content-range': `bytes ${start}-9/10` }
    stream.respond({ etag: '"v1"', 'content-length': 10 - start, ...(range === undefined ? {} : part) })
    if (range === undefined) stream.write('01234', () => stream.close(constants.NGHTTP2_INTERNAL_ERROR))
    else stream.end('0123456789'.slice(start))
  })
  return server
}

/** Without TLS nobody negotiates: both sides know that it is HTTP/2. */
const overHttp2 = (port: number): ConstructorParameters<UndiciModule['Agent']>[0] => ({
  allowH2: true,
  connect(_options, callback) {
    const socket = Object.assign(connect(port, '127.0.0.1'), { alpnProtocol: 'h2' })
    socket.once('connect', () => callback(null, socket))
  },
})

test('a header of a response may be called as what an object has of its own', async () => {
  const raw = ['constructor', 'a', '__proto__', 'b', 'X-One', 'c', 'x-one', 'd'].map((text) =>
    Buffer.from(text),
  )
  const dispatch = interceptor()((_: Options, handler: AnyHandler) => {
    handler.onConnect?.(() => {})
    handler.onHeaders?.(200, raw, () => {}, 'OK')
    handler.onComplete?.([])
    return true
  })
  const headers = await new Promise((resolve) => {
    const onResponseStart: Handler['onResponseStart'] = (_controller, _status, given) => resolve(given)
    dispatch({ origin: 'http://api.test', path: '/', method: 'GET' }, { onResponseStart })
  })
  expect(Object.entries(headers as object)).toEqual([
    ['constructor', 'a'],
    ['__proto__', 'b'],
    ['x-one', ['c', 'd']],
  ])
})

describe.each(versions)('$name', ({ name, undici }) => {
  const forms = [
    { form: 'its own', told: name === 'undici6' ? toldOld : toldNew },
    { form: 'the other', told: name === 'undici6' ? toldNew : toldOld },
  ]

  function dispatcherOver(
    options: ConstructorParameters<UndiciModule['Agent']>[0] = {},
    holdfast: InterceptorOptions = {},
  ): Dispatcher {
    const agent = new undici.Agent(options)
    onTestFinished(() => agent.destroy())
    return agent.compose(interceptor({ ...noBackoff, ...holdfast }))
  }

  describe.each(forms)('a handler in $form form', ({ told }) => {
    test('is told of the accepted response only', async () => {
      const origin = `http://127.0.0.1:${await portOf(failingTwice())}`
      const events = await told(dispatcherOver(), { origin, path: '/', method: 'GET' })
      expect(events).toEqual([
        ['start'],
        ['head', 200, '3', 'OK'],
        ['data', 'body 3'],
        ['end', { 'x-sum': '3' }],
      ])
    })

    test('is told of the last error only', async () => {
      const origin = `http://127.0.0.1:${await refusingPort()}`
      const events = await told(dispatcherOver(), { origin, path: '/', method: 'GET' })
      expect(events).toEqual([['start'], ['error', expect.objectContaining({ code: 'ECONNREFUSED' })]])
    })

    test('is told of a fallback', async () => {
      const { api, dispatcher } = await bench(
        undici,
        { faults: [status(503)] },
        { retry: false, fallback: () => new Response('mine', { headers: { 'x-try': 'none' } }) },
      )
      const events = await told(dispatcher, { origin: api.url, path: '/', method: 'GET' })
      expect(events).toEqual([['start'], ['head', 200, 'none', ''], ['data', 'mine'], ['end', {}]])
    })

    test('that throws gets its error', async () => {
      const { api, dispatcher } = await bench(undici, {})
      const error = new Error('mine')
      const broken = new Proxy(dispatcher, {
        get: (target, key) =>
          key !== 'dispatch'
            ? (Reflect.get(target, key) as unknown)
            : (options: Options, handler: Handler) => {
                const breaking = (): never => {
                  throw error
                }
                const head = told === toldOld ? 'onHeaders' : 'onResponseStart'
                return target.dispatch(options, Object.assign(handler, { [head]: breaking }))
              },
      })
      const events = await told(broken, { origin: api.url, path: '/', method: 'GET' })
      expect(events).toEqual([['start'], ['error', error]])
    })
  })

  test('over HTTP/2 it is the same', async () => {
    const port = await portOf(failingTwiceOverHttp2())
    const dispatcher = dispatcherOver(overHttp2(port))
    const told = name === 'undici6' ? toldOld : toldNew
    const events = await told(dispatcher, { origin: `http://127.0.0.1:${port}`, path: '/', method: 'GET' })
    expect(events.slice(0, 3)).toEqual([['start'], ['head', 200, '3', ''], ['data', 'body 3']])
    expect(events[3]?.[0]).toBe('end')
  })

  test('over HTTP/2 a body that breaks goes on where it broke, with resumeBody', async () => {
    const asked: unknown[] = []
    const port = await portOf(cuttingOverHttp2(asked))
    const dispatcher = dispatcherOver(overHttp2(port), { retry: { resumeBody: true } })
    const told = name === 'undici6' ? toldOld : toldNew
    const events = await told(dispatcher, { origin: `http://127.0.0.1:${port}`, path: '/', method: 'GET' })
    const chunks = events.flatMap(([event, chunk]) => (event === 'data' ? [chunk] : []))
    expect([events.at(-1)?.[0], chunks.join('')]).toEqual(['end', '0123456789'])
    expect(asked).toEqual([
      [undefined, undefined],
      [expect.stringMatching(/^bytes=[0-5]-$/), '"v1"'],
    ])
  })

  test('what comes before the answer comes with it, of the accepted attempt only', async () => {
    let tries = 0
    const server = createServer((_request, response) => {
      tries++
      response.writeEarlyHints({ link: `</${tries}.css>; rel=preload` }, () => {
        response.statusCode = tries === 1 ? 503 : 200
        response.end('body')
      })
    })
    const origin = `http://127.0.0.1:${await portOf(server)}`
    const infos: unknown[] = []
    const { statusCode, body } = await undici.request(origin, {
      dispatcher: dispatcherOver() as InstanceType<UndiciModule['Agent']>,
      onInfo: (info) => void infos.push([info.statusCode, info.headers['link']]),
    })
    expect([statusCode, await body.text()]).toEqual([200, 'body'])
    expect(infos).toEqual([[103, '</2.css>; rel=preload']])
  })

  test.each(['interceptor', 'transport'] as const)(
    'what comes before the answer holds up no fetch: %s',
    async (way) => {
      const server = createServer((request, response) => {
        response.writeEarlyHints({ link: '</a.css>; rel=preload' }, () => request.pipe(response))
      })
      const origin = `http://127.0.0.1:${await portOf(server)}`
      const agent = new undici.Agent()
      onTestFinished(() => agent.destroy())
      type Answer = Promise<{ text(): Promise<string> }>
      const full = undici.fetch as unknown as (url: string, init: object) => Answer
      const fast = transport({ dispatcher: agent, fetch: full as Transport }) as typeof full
      const own = { dispatcher: agent.compose(interceptor(noBackoff)) }
      // A stream takes the way of the full fetch.
      const init = { method: 'POST', duplex: 'half', body: new Blob(['body']).stream() }
      const response = await (way === 'transport' ? fast(origin, init) : full(origin, { ...init, ...own }))
      expect(await response.text()).toBe('body')
    },
  )

  test('an upgrade is left alone', async () => {
    const server = createServer()
    server.on('upgrade', (_request, socket) => {
      socket.end('HTTP/1.1 101 Switching Protocols\r\nupgrade: test\r\nconnection: upgrade\r\n\r\n')
    })
    const origin = `http://127.0.0.1:${await portOf(server)}`
    const dispatcher = dispatcherOver() as InstanceType<UndiciModule['Agent']>
    const { headers, socket } = await undici.upgrade(origin, { dispatcher, protocol: 'test' })
    socket.destroy()
    expect(headers['upgrade']).toBe('test')
  })

  test('a dispatcher that is closed is no failure of the service', async () => {
    const { api } = await bench(undici, {})
    const agent = new undici.Agent()
    const intercept = interceptor({ ...noBackoff, circuitBreaker: { minimumCalls: 1 } })
    const dispatcher = agent.compose(intercept)
    await agent.close()
    const error = await failureOf(undici.request(api.url, { dispatcher }))
    expect(error).toMatchObject({ code: expect.stringMatching(/UND_ERR_(?:CLOSED|DESTROYED)/) })
    const other = new undici.Agent()
    onTestFinished(() => other.destroy())
    const { statusCode, body } = await undici.request(api.url, { dispatcher: other.compose(intercept) })
    await body.dump()
    expect(statusCode).toBe(200)
  })
})
