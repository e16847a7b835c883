import { describe, expect, onTestFinished, test } from 'vitest'
import { createFetch, ThrottledError, throttle, type FetchOptions } from '../../src/index.ts'
import { faultServer, ok, reset, status, type Fault } from '../../src/testing/index.ts'
import { testClock } from './support/clock.ts'
import { expectNoUnhandledRejections } from './support/unhandled.ts'
import { failureOf, finish } from './support/wait.ts'

expectNoUnhandledRejections()

/** A client that holds back whatever has any chance of being held back, and a server that does what `plan.fault` says. */
async function bench(options: FetchOptions = {}) {
  const clock = testClock()
  const plan: { fault: Fault } = { fault: ok() }
  const server = await faultServer({ faults: () => plan.fault })
  onTestFinished(() => server.close())
  const fetch = createFetch({
    clock,
    retry: false,
    circuitBreaker: false,
    policies: [throttle({ clock, random: () => 0 })],
    ...options,
  })
  const call = async (fault: Fault = ok(), method = 'GET'): Promise<unknown> => {
    plan.fault = fault
    const outcome = await fetch(server.url, { method }).catch((error: unknown) => error)
    if (outcome instanceof Response) await outcome.text()
    return outcome
  }
  const tenTimes = async (fault: Fault, method?: string): Promise<void> => {
    for (let done = 0; done < 10; done++) await call(fault, method)
  }
  return { clock, fetch, server, call, tenTimes }
}

describe('a throttle in createFetch', () => {
  const refusing: [string, Fault][] = [
    ['429', status(429)],
    ['429, not to be tried again', status(429, { headers: { 'x-should-retry': 'false' } })],
    ['500', status(500)],
    ['503, not to be tried again', status(503, { headers: { 'x-should-retry': 'false' } })],
    ['a reset', reset()],
  ]
  test.each(refusing)('holds back after ten times %s', async (_, fault) => {
    const { call, tenTimes, server } = await bench()
    await tenTimes(fault)
    const error = await call()
    expect(error).toBeInstanceOf(ThrottledError)
    expect(error).toMatchObject({ code: 'ERR_THROTTLED', key: server.url })
    expect(server.requests).toHaveLength(10)
  })

  const serving: [string, Fault, string?][] = [
    ['200', ok()],
    ['404', status(404)],
    ['401', status(401)],
    ['a 500 on record', status(500, { headers: { 'idempotent-replayed': 'true' } }), 'POST'],
    ['a 409 in flight', status(409, { headers: { 'idempotency-status': 'in-flight' } }), 'POST'],
  ]
  test.each(serving)('counts %s as accepted', async (_, fault, method) => {
    const { call, tenTimes } = await bench()
    await tenTimes(fault, method)
    // Ten accepted requests allow for ten others: the eleventh is held back.
    await tenTimes(status(503))
    expect(await call(status(503))).toBeInstanceOf(Response)
    expect(await call()).toBeInstanceOf(ThrottledError)
  })

  test('counts a timeout that strikes while the body of the caller’s own Request is read as nothing', async () => {
    const { call, fetch, clock, server } = await bench({ retry: {} })
    const calls = Array.from({ length: 10 }, () => {
      const init: RequestInit & { duplex: 'half' } = {
        method: 'PUT',
        body: new ReadableStream(),
        duplex: 'half',
      }
      return failureOf(fetch(new Request(server.url, init)))
    })
    await clock.advance(30_000)
    for (const work of calls) expect(await work).toMatchObject({ code: 'ERR_ATTEMPT_TIMEOUT' })
    expect(await call()).toBeInstanceOf(Response)
  })

  test('counts what a hook throws, and what an open circuit refuses, as nothing', async () => {
    let isBroken = true
    const { call, tenTimes, fetch, server } = await bench({
      circuitBreaker: {},
      beforeAttempt() {
        if (isBroken) throw new Error('bug')
      },
    })
    await tenTimes(ok())
    isBroken = false
    fetch.circuits.get(server.url).isolate()
    await tenTimes(ok())
    fetch.circuits.get(server.url).reset()
    expect(await call()).toBeInstanceOf(Response)
  })

  test('is never retried, opens no circuit, and a fallback knows the reason', async () => {
    const reasons: string[] = []
    const { clock, call, tenTimes, fetch, server } = await bench({
      circuitBreaker: { minimumCalls: 11 },
      fallback: ({ reason }) => {
        reasons.push(reason)
        return undefined
      },
    })
    await tenTimes(status(503))
    const derived = fetch.with({ retry: { maxRetries: 3 } })
    expect(await failureOf(finish(clock, derived(server.url)))).toBeInstanceOf(ThrottledError)
    await call()
    expect(clock.sleeps).toEqual([])
    expect(reasons.slice(-2)).toEqual(['throttled', 'throttled'])
    expect(fetch.circuits.get(server.url).state).toBe('closed')
  })
})
