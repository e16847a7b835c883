/** Bodies that an interceptor reads itself: a response's before its caller does, a request's before it is sent. */
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { Readable } from 'node:stream'
import { gunzipSync, gzipSync } from 'node:zlib'
import { describe, expect, onTestFinished, test } from 'vitest'
import { AttemptBody } from '../../../src/adapters/undici/attempt-body.ts'
import { interceptor } from '../../../src/adapters/undici/index.ts'
import { httpCache } from '../../../src/cache/index.ts'
import { createFetch } from '../../../src/index.ts'
import { faultServer, noBackoff } from '../../../src/testing/index.ts'
import { tick, until } from '../../client/support/wait.ts'
import { listening } from '../../support/listening.ts'
import { versions } from './versions.ts'

describe.each(versions)('with $name', ({ undici }) => {
  function newAgent() {
    const agent = new undici.Agent()
    onTestFinished(() => agent.destroy())
    return agent
  }

  test('one that is shared is shared by those who come the same way', async () => {
    const text = 'hello '.repeat(20)
    let arrived = 0
    const handler = async () => {
      arrived++
      await until(() => arrived === 3)
      return new Response(gzipSync(text), { headers: { 'content-encoding': 'gzip' } })
    }
    const api = await faultServer({ handler })
    onTestFinished(() => api.close())
    const fetch = createFetch({ retry: false, coalesce: true })
    const headers = { accept: '*/*', 'accept-language': '*', 'accept-encoding': 'gzip', 'user-agent': 'own' }
    await createFetch({ coalesce: true })('data:,')
    const ways = [1, 2].map(() => newAgent().compose(interceptor(fetch)))
    const texts = [
      fetch(api.url, { headers }).then((response) => response.text()),
      ...[...ways, ...ways].map(async (dispatcher) => {
        const { body } = await undici.request(api.url, { dispatcher, headers })
        return gunzipSync(await body.bytes()).toString()
      }),
    ]
    expect(await Promise.all(texts)).toEqual(Array(5).fill(text))
    expect(arrived).toBe(3)
  })

  test('a stored one has the coding that it came with, and who asks by fetch has one of his own', async () => {
    const text = 'hello '.repeat(20)
    const headers = { 'content-encoding': 'gzip', 'cache-control': 'max-age=60' }
    const api = await faultServer({ handler: () => new Response(gzipSync(text), { headers }) })
    onTestFinished(() => api.close())
    const fetch = createFetch({ ...noBackoff, retry: false, cache: httpCache() })
    const dispatcher = newAgent().compose(interceptor(fetch))
    const byUndici = async () => (await undici.fetch(api.url, { dispatcher })).text()
    const byFetch = async () => (await fetch(api.url)).text()
    expect(await byFetch()).toBe(text)
    expect(await byUndici()).toBe(text)
    await api.outage()
    expect(await byUndici()).toBe(text)
    expect(await byFetch()).toBe(text)
  })

  test('of a request, one too long to be kept is closed when the answer comes before its end', async () => {
    const server = await listening(
      createServer((request, response) => {
        request.once('data', () => response.writeHead(413).end()).on('error', () => {})
      }),
    )
    onTestFinished(() => (server.closeAllConnections(), void server.close()))
    const bytes = async function* () {
      for (;;) yield await tick().then(() => Buffer.alloc(10))
    }
    const { port } = server.address() as AddressInfo
    const body = Readable.from(bytes())
    const { statusCode } = await undici.request(`http://127.0.0.1:${port}`, {
      dispatcher: newAgent().compose(interceptor({ retry: { maxBufferBytes: 20 } })),
      method: 'POST',
      headers: { 'content-length': '1000000' },
      body,
    })
    expect(statusCode).toBe(413)
    await until(() => body.destroyed)
  })

  test.each([{ cache: httpCache({ serveFresh: true }) }, { coalesce: true }])(
    'a proxy is asked for each URL by itself: %j',
    async (options) => {
      const headers = { 'cache-control': 'max-age=60' }
      const api = await faultServer({ handler: ({ url }) => new Response(url, { headers }) })
      const client = new undici.Client(api.url)
      onTestFinished(async () => {
        await client.destroy()
        await api.close()
      })
      const dispatcher = client.compose(interceptor({ ...noBackoff, ...options }))
      const ask = async (path: string) => (await dispatcher.request({ path, method: 'GET' })).body.text()
      const urls = ['http://one.test/a', 'http://two.test/a', 'http://two.test/b']
      expect(await Promise.all(urls.map(ask))).toEqual(urls)
      expect(await Promise.all(urls.map(ask))).toEqual(urls)
    },
  )
})

test('one that breaks between two reads breaks the second', async () => {
  const attempt = { passTo: () => body.onData(new Uint8Array(1)), pause() {}, resume() {}, discard() {} }
  const body = new AttemptBody(attempt)
  expect((await body.read()).done).toBe(false)
  body.onError(new Error('reset'))
  await expect(body.read()).rejects.toThrow('reset')
})
