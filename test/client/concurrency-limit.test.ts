import { expect, test } from 'vitest'
import { concurrencyLimit, createFetch, type Transport } from '../../src/index.ts'
import { testClock } from './support/clock.ts'

/** A service that answers as it is told, and a client that knows how long it takes. */
function bench() {
  const clock = testClock()
  const limit = concurrencyLimit({ clock })
  const service = { status: 200, takesMs: 100 }
  const transport: Transport = async () => {
    const { status, takesMs } = service
    await new Promise<void>((resolve) => clock.schedule(resolve, takesMs))
    return new Response(null, { status })
  }
  const options = {
    retry: { maxRetries: 0 },
    retryBudget: false,
    circuitBreaker: false,
    timeout: { attemptMs: 1000 },
  } as const
  const fetch = createFetch({ clock, fetch: transport, policies: [limit], ...options })
  /** As many calls as make a window, at once. */
  const runWindow = async (input: () => Request | string = () => 'http://x.test/'): Promise<void> => {
    const calls = Array.from({ length: 20 }, () => fetch(input()).catch(() => {}))
    await clock.advance(1000)
    await Promise.all(calls)
  }
  const places = (): number => limit.places('http://x.test').limit
  return { clock, fetch, service, runWindow, places }
}

test('refusals that come fast are no latency: after an outage the usual one is no overload', async () => {
  const { service, runWindow, places } = bench()
  for (let window = 0; window < 3; window++) await runWindow()
  const before = places()
  Object.assign(service, { status: 503, takesMs: 1 })
  for (let window = 0; window < 50; window++) await runWindow()
  Object.assign(service, { status: 200, takesMs: 100 })
  for (let window = 0; window < 3; window++) await runWindow()
  expect(places()).toBeGreaterThanOrEqual(before)
})

test('a timeout is overload, but not while the body of the caller’s own Request is read', async () => {
  const { service, runWindow, places } = bench()
  const before = places()
  const init = { method: 'POST', duplex: 'half' }
  await runWindow(() => new Request('http://x.test/', { ...init, body: new ReadableStream() }))
  expect(places()).toBe(before)
  service.takesMs = 10_000
  await runWindow()
  expect(places()).toBeLessThan(before)
})
