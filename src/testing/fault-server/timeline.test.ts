import { expect, test } from 'vitest'
import { between, faultServer, ok, outage, status, virtualClock, type FaultServer } from '../index.ts'

async function ask(server: FaultServer): Promise<number | string> {
  return fetch(server.url).then(
    async (response) => (await response.text(), response.status),
    (error: unknown) =>
      error instanceof Error && error.cause instanceof Error && 'code' in error.cause
        ? String(error.cause.code)
        : String(error),
  )
}

/** Listening and closing are the operating system's: they take a moment of no virtual time. */
async function answers(server: FaultServer, expected: number | string): Promise<void> {
  await expect.poll(() => ask(server), { interval: 1 }).toBe(expected)
}

test('a window decides while it lasts, and the list waits', async () => {
  const clock = virtualClock()
  await using server = await faultServer({
    clock,
    faults: [status(418), ok()],
    timeline: [between(1000, 2000, status(503))],
  })
  await clock.advance(1000)
  expect(await ask(server)).toBe(503)
  await clock.advance(999)
  expect(await ask(server)).toBe(503)
  await clock.advance(1)
  expect(await ask(server)).toBe(418)
  expect(await ask(server)).toBe(200)
})

test('a window may hold a function', async () => {
  const clock = virtualClock()
  await using server = await faultServer({
    clock,
    timeline: [between(0, 1000, ({ path }) => (path === '/' ? status(500) : undefined))],
  })
  expect(await ask(server)).toBe(500)
  expect((await fetch(`${server.url}/other`)).status).toBe(200)
})

test('an outage refuses connections, cuts the open ones, and ends on the same port', async () => {
  const clock = virtualClock()
  await using server = await faultServer({ clock, timeline: [between(1000, 6000, outage())] })
  const { url } = server
  expect(await ask(server)).toBe(200)
  expect(server.stats.openSockets).toBe(1)
  await clock.advance(1000)
  await answers(server, 'ECONNREFUSED')
  expect(server.stats).toMatchObject({ openSockets: 0, outages: 1, resetAtAccept: 0 })
  await clock.advance(5000)
  await answers(server, 200)
  expect(server.url).toBe(url)
  expect(clock.pending).toBe(0)
})

test('an outage by reset accepts and cuts', async () => {
  const clock = virtualClock()
  await using server = await faultServer({ clock, timeline: [between(0, 1000, outage('reset'))] })
  await clock.advance(0)
  await answers(server, 'ECONNRESET')
  expect(server.stats.resetAtAccept).toBeGreaterThan(0)
  expect(server.requests).toEqual([])
  await clock.advance(1000)
  await answers(server, 200)
})

test('one outage may follow another without a gap', async () => {
  const clock = virtualClock()
  await using server = await faultServer({
    clock,
    timeline: [between(2000, 3000, outage('reset')), between(1000, 2000, outage())],
  })
  await clock.advance(1000)
  await answers(server, 'ECONNREFUSED')
  await clock.advance(1000)
  await answers(server, 'ECONNRESET')
  await clock.advance(1000)
  await answers(server, 200)
  expect(server.stats.outages).toBe(2)
})

test('outages by hand', async () => {
  await using server = await faultServer()
  await server.outage()
  expect(await ask(server)).toBe('ECONNREFUSED')
  await server.outage('reset')
  expect(await ask(server)).toBe('ECONNRESET')
  await server.recover()
  expect(await ask(server)).toBe(200)
  expect(server.stats.outages).toBe(2)
})

test('closing during an outage leaves nothing behind', async () => {
  const clock = virtualClock()
  const server = await faultServer({ clock, timeline: [between(0, 1000, outage())] })
  await clock.advance(0)
  await answers(server, 'ECONNREFUSED')
  await server.close()
  expect(clock.pending).toBe(0)
  expect(await ask(server)).toBe('ECONNREFUSED')
})
