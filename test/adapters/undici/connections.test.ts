/** What an interceptor's attempts do to the connections underneath. */
import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { Duplex } from 'node:stream'
import { describe, expect, onTestFinished, test, vi } from 'vitest'
import type { Dispatcher } from 'undici'
import { interceptor, transport, type InterceptorOptions } from '../../../src/adapters/undici/index.ts'
import { outcomeOf } from '../../../src/index.ts'
import { faultServer, noBackoff, stall, status, times, type Fault } from '../../../src/testing/index.ts'
import { failureOf, until } from '../../client/support/wait.ts'
import { listening } from '../../support/listening.ts'
import { versions } from './versions.ts'

describe.each(versions)('with $name', ({ undici }) => {
  /** A dispatcher of a single connection, to a server whose unwanted bodies never end. */
  async function bench(faults: readonly (Fault | readonly Fault[])[], options: InterceptorOptions = {}) {
    const handler = () => new Response('a body of which only a part comes', { status: 503 })
    const api = await faultServer({ faults: [...faults, status(200)], handler })
    const agent = new undici.Agent({ connections: 1 })
    onTestFinished(async () => {
      await agent.destroy()
      await api.close()
    })
    const dispatcher = agent.compose(interceptor({ ...noBackoff, ...options }))
    return { api, dispatcher: dispatcher as InstanceType<typeof undici.Agent> }
  }

  test('a discarded body that never ends keeps no connection from the next attempt', async () => {
    const { api, dispatcher } = await bench([times(3, stall())])
    const { statusCode, body } = await undici.request(api.url, { dispatcher })
    await body.dump()
    expect([statusCode, api.requests.length]).toEqual([200, 4])
    await vi.waitUntil(() => api.requests.every(({ outcome }) => outcome !== 'pending'))
  })

  test('nor from whoever comes after a fallback', async () => {
    const fallback = () => new Response('instead')
    const { api, dispatcher } = await bench([stall(), status(404)], { retry: false, fallback })
    const { body } = await undici.request(api.url, { dispatcher })
    expect(await body.text()).toBe('instead')
    const { statusCode } = await undici.request(api.url, { dispatcher })
    expect([statusCode, api.requests[0]?.outcome]).toEqual([404, 'cut'])
  })

  test('a proxy that makes no tunnel is a failure to connect', async () => {
    const proxy = createServer()
    let asked = 0
    proxy.on('connect', (_, socket: Duplex) => {
      asked++
      socket.end('HTTP/1.1 503 Service Unavailable\r\n\r\n')
    })
    await once(proxy.listen(0, '127.0.0.1'), 'listening')
    const uri = `http://127.0.0.1:${(proxy.address() as AddressInfo).port}`
    const agent = new undici.ProxyAgent({ uri, proxyTunnel: true })
    onTestFinished(async () => {
      await agent.destroy()
      proxy.close()
    })
    const options = { ...noBackoff, retry: { maxRetries: 1 }, idempotency: false as const }
    const dispatcher = agent.compose(interceptor(options))
    const request = { method: 'POST' as const, body: 'once', dispatcher }
    const error: unknown = await undici
      .request('http://127.0.0.1:9/', request)
      .catch((cause: unknown) => cause)
    // undici's own, as it is.
    expect(error).toMatchObject({ name: 'AbortError', code: 'UND_ERR_ABORTED' })
    expect([asked, outcomeOf(error)?.attempts, outcomeOf(error)?.uncertain]).toEqual([2, 2, false])
  })

  test('a proxy without a tunnel takes a request that has no headers', async () => {
    const seen: unknown[] = []
    const proxy = await listening(
      createServer((request, response) => {
        seen.push([request.url, request.headers.host])
        request.resume().on('end', () => response.end())
      }),
    )
    const uri = `http://127.0.0.1:${(proxy.address() as AddressInfo).port}`
    const agent = new undici.ProxyAgent({ uri, proxyTunnel: false })
    onTestFinished(async () => {
      await agent.destroy()
      proxy.close()
    })
    const dispatcher = agent.compose(interceptor({ idempotency: false }))
    const { statusCode } = await undici.request('http://api.test/orders', {
      dispatcher,
      method: 'POST',
      body: 'anchor',
    })
    expect(statusCode).toBe(200)
    expect(seen).toEqual([['http://api.test/orders', 'api.test']])
  })

  test('what an interceptor below writes to its options is gone with the attempt', async () => {
    const api = await faultServer({ faults: [status(503)] })
    const agent = new undici.Agent()
    onTestFinished(async () => {
      await agent.destroy()
      await api.close()
    })
    const prefixing: Dispatcher.DispatcherComposeInterceptor = (dispatch) => (options, handler) => {
      options.path = `/v2${options.path}`
      return dispatch(options, handler)
    }
    const dispatcher = agent.compose(prefixing, interceptor(noBackoff))
    const { body } = await undici.request(`${api.url}/orders`, { dispatcher })
    await body.dump()
    expect(api.requests.map(({ path }) => path)).toEqual(['/v2/orders', '/v2/orders'])
  })

  test.each(['interceptor', 'transport'] as const)(
    'a body whose connection is lost to the abort of another request breaks, and is not begun anew: %s',
    async (way) => {
      const asked: string[] = []
      const server = createServer(({ url = '' }, response) => {
        asked.push(url)
        if (asked.length === 1) response.write('the first half')
        else response.end('a whole one')
      })
      const { port } = (await listening(server)).address() as AddressInfo
      const agent = new undici.Agent({ connections: 1, pipelining: 2 })
      onTestFinished(async () => {
        await agent.destroy()
        server.close()
      })
      const dispatcher = agent.compose(interceptor({ ...noBackoff, retry: false }))
      const fast = transport({ dispatcher: agent })
      const ask = async (path: string, signal: AbortSignal): Promise<() => Promise<string>> => {
        const url = `http://127.0.0.1:${port}${path}`
        if (way === 'interceptor') {
          const { body } = await undici.request(url, { dispatcher, signal })
          return () => body.text()
        }
        const response = await fast(url, { signal })
        return () => response.text()
      }
      const controller = new AbortController()
      const text = await ask('/kept', new AbortController().signal)
      const other = failureOf(ask('/other', controller.signal))
      await until(() => asked.includes('/other'))
      controller.abort(new Error('enough'))
      expect(await other).toEqual(new Error('enough'))
      const failure = (await failureOf(text())) as Error
      // As fetch has it, or as it is.
      const { message } = (failure.cause ?? failure) as Error
      expect(message).toBe('the connection was lost after the response had begun')
      expect(asked).toEqual(['/kept', '/other'])
    },
  )
})
