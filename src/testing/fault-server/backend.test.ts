import { createServer, request as httpRequest, type RequestListener } from 'node:http'
import type { AddressInfo } from 'node:net'
import { expect, test } from 'vitest'
import { faultServer, resetAfter, truncate } from '../index.ts'

async function origin(
  listener: RequestListener,
): Promise<AsyncDisposable & { url: string; connections: () => number }> {
  let connections = 0
  const server = createServer(listener).on('connection', () => connections++)
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    connections: () => connections,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections()
      await new Promise((resolve) => server.close(resolve))
    },
  }
}

test('a web handler gets method, path, headers and body', async () => {
  await using server = await faultServer({
    async handler(request) {
      const { pathname, search } = new URL(request.url)
      return Response.json(
        [request.method, pathname + search, request.headers.get('x-a'), await request.text()],
        {
          status: 202,
          headers: [
            ['set-cookie', 'a=1'],
            ['set-cookie', 'b=2'],
          ],
        },
      )
    },
  })
  const response = await fetch(`${server.url}/path?q=1`, {
    method: 'PUT',
    body: 'text',
    headers: { 'x-a': 'b' },
  })
  expect(response.status).toBe(202)
  expect(response.headers.getSetCookie()).toEqual(['a=1', 'b=2'])
  expect(await response.json()).toEqual(['PUT', '/path?q=1', 'b', 'text'])
})

test.each(['//', '//a.example/b?q=1', '/a//b'])('a web handler gets the path %s as it is', async (path) => {
  await using server = await faultServer({ handler: (request) => new Response(request.url) })
  const response = await fetch(server.url + path)
  expect(await response.text()).toBe(server.url + path)
})

test('a web handler that throws is a 502 that says so', async () => {
  await using server = await faultServer({ handler: () => Promise.reject(new Error('no database')) })
  const response = await fetch(server.url)
  expect(response.status).toBe(502)
  expect(response.headers.get('x-fault-server')).toBe('handler-failed')
  expect(await response.text()).toContain('no database')
})

test('a web handler learns that the client has left', async () => {
  let noticed = false
  let left = (): void => {}
  const leaving = new Promise<void>((resolve) => (left = resolve))
  let entered = (): void => {}
  const started = new Promise<void>((resolve) => (entered = resolve))
  await using server = await faultServer({
    handler(request) {
      request.signal.addEventListener('abort', () => ((noticed = true), left()))
      entered()
      return new Promise(() => {})
    },
  })
  const controller = new AbortController()
  const response = fetch(server.url, { signal: controller.signal }).catch(() => {})
  await started
  controller.abort()
  await Promise.all([leaving, response])
  expect(noticed).toBe(true)
})

test('a node listener streams, and throws into a 500 or a cut', async () => {
  await using server = await faultServer({
    listener(request, response) {
      if (request.url === '/throw') throw new Error('bug')
      response.writeHead(200, { 'x-method': request.method })
      if (request.url === '/late') {
        response.write('half')
        throw new Error('bug')
      }
      request.pipe(response)
    },
  })
  const response = await fetch(server.url, { method: 'POST', body: 'echo' })
  expect(response.headers.get('x-method')).toBe('POST')
  expect(await response.text()).toBe('echo')
  expect((await fetch(`${server.url}/throw`)).status).toBe(500)
  await expect((await fetch(`${server.url}/late`)).text()).rejects.toThrow('terminated')
})

test('a node listener can be cut short and lost like any handler', async () => {
  let effects = 0
  await using server = await faultServer({
    listener(_, response) {
      effects++
      response.write('half ')
      response.end('full')
    },
    faults: [resetAfter(), truncate()],
  })
  await expect(fetch(server.url)).rejects.toThrow('fetch failed')
  expect(effects).toBe(1)
  const response = await fetch(server.url)
  expect(response.headers.get('transfer-encoding')).toBeNull()
  await expect(response.text()).rejects.toThrow('terminated')
  expect(effects).toBe(2)
})

test('an upstream is proxied: header lines, path and body as they are, over connections that are kept', async () => {
  const seen: unknown[] = []
  await using behind = await origin((request, response) => {
    seen.push([request.method, request.url, request.headers.host, request.headersDistinct['x-two']])
    response.writeHead(201, ['Content-Type', 'text/plain', 'Set-Cookie', 'a=1', 'Set-Cookie', 'b=2'])
    request.pipe(response)
  })
  await using server = await faultServer({ upstream: behind.url })
  for (let sent = 0; sent < 3; sent++) {
    const response = await new Promise<{ raw: string[]; body: string }>((resolve, reject) => {
      httpRequest(
        `${server.url}/a?b=c`,
        {
          method: 'DELETE',
          headers: { host: 'api.example', 'x-two': ['1', '2'], 'transfer-encoding': 'chunked' },
        },
        (incoming) => {
          let body = ''
          incoming.on('data', (chunk) => (body += String(chunk)))
          incoming.on('end', () => resolve({ raw: incoming.rawHeaders, body }))
        },
      )
        .on('error', reject)
        .end('payload')
    })
    expect(response.body).toBe('payload')
    expect(response.raw.slice(0, 6)).toEqual([
      'Content-Type',
      'text/plain',
      'Set-Cookie',
      'a=1',
      'Set-Cookie',
      'b=2',
    ])
    expect(response.raw.filter((text) => text.toLowerCase() === 'date')).toHaveLength(1)
  }
  expect(seen).toEqual(Array.from({ length: 3 }, () => ['DELETE', '/a?b=c', 'api.example', ['1', '2']]))
  expect(behind.connections()).toBe(1)
})

test('an upstream response is passed on while it comes', async () => {
  let finish = (): void => {}
  await using behind = await origin((_, response) => {
    response.write('first')
    finish = () => response.end('last')
  })
  await using server = await faultServer({ upstream: behind.url })
  const response = await fetch(server.url)
  const reader = response.body!.getReader()
  expect(new TextDecoder().decode((await reader.read()).value)).toBe('first')
  finish()
  expect(new TextDecoder().decode((await reader.read()).value)).toBe('last')
  expect((await reader.read()).done).toBe(true)
})

test('a broken upstream body stays broken', async () => {
  await using behind = await origin((_, response) => {
    response.writeHead(200, { 'content-length': '100' })
    response.write('short', () => response.destroy())
  })
  await using server = await faultServer({ upstream: behind.url })
  const response = await fetch(server.url)
  await expect(response.text()).rejects.toThrow('terminated')
})

test('an upstream that is gone is a 502 that says so', async () => {
  const behind = await origin(() => {})
  await behind[Symbol.asyncDispose]()
  await using server = await faultServer({ upstream: behind.url })
  const response = await fetch(server.url)
  expect(response.status).toBe(502)
  expect(response.headers.get('x-fault-server')).toBe('handler-failed')
})

test('a client that leaves ends the upstream request', async () => {
  let arrived = (): void => {}
  const started = new Promise<void>((resolve) => (arrived = resolve))
  let closed = (): void => {}
  const ended = new Promise<void>((resolve) => (closed = resolve))
  await using behind = await origin((request) => {
    request.once('close', closed)
    arrived()
  })
  await using server = await faultServer({ upstream: behind.url })
  const controller = new AbortController()
  const response = fetch(server.url, { signal: controller.signal }).catch(() => {})
  await started
  controller.abort()
  await Promise.all([ended, response])
  expect(server.requests[0]?.outcome).toBe('cut')
})
