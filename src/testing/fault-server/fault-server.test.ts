import { get } from 'node:http'
import { connect } from 'node:net'
import { expect, test } from 'vitest'
import {
  endless,
  faultServer,
  hang,
  hangAfter,
  latency,
  ok,
  reset,
  resetAfter,
  stall,
  status,
  statusAfter,
  times,
  truncate,
  virtualClock,
  type Fault,
  type FaultServer,
} from '../index.ts'

/** A server whose handler counts its effects. */
async function counting(
  ...faults: (Fault | Fault[])[]
): Promise<{ server: FaultServer; effects: () => number }> {
  let effects = 0
  const handler = (): Response => new Response(`effect ${++effects}`, { status: 201 })
  return { server: await faultServer({ handler, faults }), effects: () => effects }
}

/** What undici puts under its `fetch failed`. */
async function failureOf(url: string, init?: RequestInit): Promise<string | undefined> {
  const error: unknown = await fetch(url, init).then(
    (response) => response.text(),
    (reason: unknown) => reason,
  )
  if (!(error instanceof Error)) return undefined
  return error.cause instanceof Error && 'code' in error.cause ? String(error.cause.code) : error.message
}

test('without options it answers 200', async () => {
  await using server = await faultServer()
  const response = await fetch(server.url)
  expect(response.status).toBe(200)
  expect(await response.json()).toEqual({ ok: true })
})

test('a list is consumed request by request, and after its end everything is served', async () => {
  const { server, effects } = await counting(times(2, status(503)), ok(), status(429))
  await using _ = server
  const statuses: number[] = []
  for (let sent = 0; sent < 6; sent++) statuses.push((await fetch(server.url)).status)
  expect(statuses).toEqual([503, 503, 201, 429, 201, 201])
  expect(effects()).toBe(3)
})

test('a function decides by the request and its attempt', async () => {
  await using server = await faultServer({
    faults: ({ method, attempt }) => (method === 'POST' && attempt === 1 ? status(500) : undefined),
  })
  const send = async (method: string, key: string): Promise<number> =>
    (await fetch(server.url, { method, headers: { 'Idempotency-Key': key } })).status
  expect(await send('POST', 'a')).toBe(500)
  expect(await send('POST', 'b')).toBe(500)
  expect(await send('POST', 'a')).toBe(200)
  expect(await send('GET', 'c')).toBe(200)
})

test('status answers with body, headers and Retry-After, and the handler does not run', async () => {
  const { server, effects } = await counting(
    status(503, { retryAfter: 2, body: 'busy', headers: { 'x-why': 'test' } }),
  )
  await using _ = server
  const response = await fetch(server.url)
  expect(response.status).toBe(503)
  expect(response.headers.get('retry-after')).toBe('2')
  expect(response.headers.get('x-why')).toBe('test')
  expect(await response.text()).toBe('busy')
  expect(effects()).toBe(0)
})

test('statusAfter answers for a handler that has run', async () => {
  const { server, effects } = await counting(statusAfter(504))
  await using _ = server
  expect((await fetch(server.url)).status).toBe(504)
  expect(effects()).toBe(1)
  expect(server.stats.lostAfterHandling).toBe(1)
})

test('reset cuts the connection before the handler runs, resetAfter after it has', async () => {
  const { server, effects } = await counting(reset(), resetAfter())
  await using _ = server
  expect(await failureOf(server.url, { method: 'POST', body: 'x' })).toBe('ECONNRESET')
  expect(effects()).toBe(0)
  expect(await failureOf(server.url, { method: 'POST', body: 'x' })).toBe('ECONNRESET')
  expect(effects()).toBe(1)
  expect(
    server.requests.map(({ fault, handled, handlerStatus, status: sent }) => [
      fault,
      handled,
      handlerStatus,
      sent,
    ]),
  ).toEqual([
    ['reset', false, undefined, undefined],
    ['reset-after', true, 201, undefined],
  ])
})

test('hang and hangAfter never answer; the connection stays until the client leaves', async () => {
  const { server, effects } = await counting(hang(), hangAfter())
  await using _ = server
  const clients = [0, 1].map(() => get(server.url, { agent: false }).on('error', () => {}))
  await until(() => effects() === 1 && server.requests.length === 2)
  expect(server.stats.openSockets).toBe(2)
  expect(server.requests.map(({ outcome }) => outcome)).toEqual(['pending', 'pending'])
  for (const client of clients) client.destroy()
  await until(() => server.stats.openSockets === 0)
  expect(server.requests.map(({ outcome }) => outcome)).toEqual(['cut', 'cut'])
})

test('latency waits on the injected clock, alone or before another fault', async () => {
  const clock = virtualClock()
  await using server = await faultServer({ clock, faults: [latency(5000), latency(5000, status(503))] })
  for (const expected of [200, 503]) {
    let arrived: number | undefined
    const response = fetch(server.url).then(({ status }) => (arrived = status))
    await until(() => clock.pending === 1)
    await clock.advance(4999)
    expect(arrived).toBeUndefined()
    await clock.advance(1)
    expect(await response).toBe(expected)
  }
})

test('a client that leaves during latency takes its request along', async () => {
  const clock = virtualClock()
  let ran = false
  await using server = await faultServer({
    clock,
    handler: () => ((ran = true), new Response()),
    faults: [latency(1000)],
  })
  const controller = new AbortController()
  const response = fetch(server.url, { signal: controller.signal }).catch(() => {})
  await until(() => clock.pending === 1)
  controller.abort()
  await response
  await until(() => clock.pending === 0)
  await clock.advance(1000)
  expect(ran).toBe(false)
})

test('truncate promises the whole body and sends half of it', async () => {
  await using server = await faultServer({ handler: () => new Response('0123456789'), faults: [truncate()] })
  const response = await fetch(server.url)
  expect(response.headers.get('content-length')).toBe('10')
  const chunks: string[] = []
  const reading = (async () => {
    if (response.body === null) return
    for await (const chunk of response.body) chunks.push(new TextDecoder().decode(chunk))
  })()
  await expect(reading).rejects.toThrow('terminated')
  expect(chunks.join('')).toBe('01234')
})

test('even an empty or a wholly sent body can be truncated', async () => {
  await using server = await faultServer({
    handler: () => new Response('abc'),
    faults: [truncate({ afterBytes: 3 }), truncate({ afterBytes: 0 })],
  })
  for (const promised of ['4', '3']) {
    const response = await fetch(server.url)
    expect(response.headers.get('content-length')).toBe(promised)
    await expect(response.text()).rejects.toThrow('terminated')
  }
})

test('stall sends a part and then nothing', async () => {
  await using server = await faultServer({
    handler: () => new Response('0123456789'),
    faults: [stall({ afterBytes: 3 })],
  })
  const response = await fetch(server.url)
  const reader = response.body!.getReader()
  expect(new TextDecoder().decode((await reader.read()).value)).toBe('012')
  let more = false
  const next = reader.read().then(
    () => (more = true),
    () => {},
  )
  await new Promise((resolve) => setImmediate(resolve))
  expect(more).toBe(false)
  expect(server.stats.openSockets).toBe(1)
  await server.close()
  await next
})

test('an endless body goes on, with any status', async () => {
  const clock = virtualClock()
  await using server = await faultServer({
    clock,
    faults: [endless({ status: 503, body: 'more', intervalMs: 1000 })],
  })
  const response = await fetch(server.url)
  expect(response.status).toBe(503)
  const reader = response.body!.getReader()
  for (let read = 0; read < 3; read++) {
    expect(new TextDecoder().decode((await reader.read()).value)).toBe('more')
    await clock.advance(1000)
  }
  await reader.cancel()
  await until(() => clock.pending === 0)
  expect(server.requests[0]?.outcome).toBe('cut')
})

test('it records what arrived', async () => {
  await using server = await faultServer({ recordBodies: true, faults: [status(500)] })
  const init = { method: 'POST', body: 'two apples', headers: { 'Idempotency-Key': 'k1' } }
  await fetch(`${server.url}/orders?dry=1`, init)
  await fetch(`${server.url}/orders?dry=1`, init)
  expect(server.requests).toMatchObject([
    {
      index: 0,
      method: 'POST',
      path: '/orders?dry=1',
      identity: 'k1',
      attempt: 1,
      fault: 'status',
      status: 500,
      outcome: 'answered',
    },
    {
      index: 1,
      identity: 'k1',
      attempt: 2,
      fault: 'none',
      handled: true,
      handlerStatus: 200,
      status: 200,
      outcome: 'answered',
    },
  ])
  expect(server.requests[0]?.headers['idempotency-key']).toBe('k1')
  expect(server.requests.map(({ body }) => new TextDecoder().decode(body))).toEqual([
    'two apples',
    'two apples',
  ])
  expect(server.stats).toMatchObject({
    requests: 2,
    handled: 1,
    answered: 2,
    lostAfterHandling: 0,
    faults: { status: 1, none: 1 },
    outages: 0,
  })
})

test('it keeps only the latest requests, but counts all', async () => {
  await using server = await faultServer({ keepRequests: 2 })
  for (let sent = 0; sent < 4; sent++) await (await fetch(server.url)).text()
  expect(server.requests.map(({ index }) => index)).toEqual([2, 3])
  expect(server.stats.requests).toBe(4)
})

test('close cuts every connection and frees the port', async () => {
  const server = await faultServer({ faults: [hang()] })
  const hanging = failureOf(server.url)
  await until(() => server.requests.length === 1)
  await server.close()
  expect(await hanging).toBeDefined()
  expect(await failureOf(server.url)).toBe('ECONNREFUSED')
})

test('a fault function that throws is told to the client, not swallowed', async () => {
  await using server = await faultServer({
    faults: () => {
      throw new Error('my own bug')
    },
  })
  const response = await fetch(server.url)
  expect(response.status).toBe(502)
  expect(await response.text()).toContain('my own bug')
})

test('a raw client sees a reset as a reset', async () => {
  const { server } = await counting(reset())
  await using _ = server
  const socket = connect(Number(new URL(server.url).port), '127.0.0.1')
  const failure = new Promise((resolve) => socket.once('error', (error) => resolve(error)))
  socket.write('GET / HTTP/1.1\r\nhost: x\r\n\r\n')
  expect(await failure).toMatchObject({ code: 'ECONNRESET' })
})

async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await new Promise((resolve) => setImmediate(resolve))
}
