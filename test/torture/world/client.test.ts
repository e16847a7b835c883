import { expect, test } from 'vitest'
import { virtualClock, type VirtualClock } from '../../../src/testing/virtual-clock.ts'
import { MOST_SENDINGS } from '../settings.ts'
import { Client } from './client.ts'
import type { Ending } from './observation.ts'
import { Tally } from './tally.ts'

const MINUTE_MS = 60_000

const placed = (): Response => new Response('{}', { status: 201 })

/** A client of a service that answers what `answer` says, or does not. */
function clientOf(
  clock: VirtualClock,
  answer: () => Response | undefined,
  isStarved = false,
): { client: Client; traffic: Tally } {
  const traffic = new Tally()
  const silence = (signal: AbortSignal | null | undefined): Promise<Response> =>
    new Promise((_, reject) => signal?.addEventListener('abort', () => reject(signal.reason)))
  const client = new Client(0, {
    settings: { seed: 1 },
    transactional: true,
    url: 'http://service.test/orders',
    traffic,
    clock,
    isStarved: () => isStarved,
    fetch: async (_url, init) => answer() ?? silence(init?.signal),
  })
  return { client, traffic }
}

async function endingOf(clock: VirtualClock, performed: Promise<Ending>): Promise<Ending> {
  await clock.runAll()
  return performed
}

const parkedIn = (traffic: Tally): number =>
  Object.entries(traffic.toJSON()).reduce(
    (sum, [name, times]) => sum + (name.startsWith('parked') ? times : 0),
    0,
  )

test('an operation that never gets a definite answer is given up on, and that is wrong', async () => {
  const clock = virtualClock()
  const inFlight = { status: 409, headers: { 'idempotency-status': 'in-flight', 'retry-after': '0.6' } }
  const { client, traffic } = clientOf(clock, () => new Response(null, inFlight))
  const ending = await endingOf(clock, client.perform(1, 'key'))
  expect(ending).toMatchObject({ type: 'wrong', what: expect.stringContaining('no definite answer') })
  expect(parkedIn(traffic)).toBe(MOST_SENDINGS)
  expect(clock.now()).toBeLessThan(10 * MINUTE_MS)
})

test('what is sent while the machine gives no time counts little, but counts', async () => {
  const clock = virtualClock()
  const { client, traffic } = clientOf(clock, () => undefined, true)
  const ending = await endingOf(clock, client.perform(1, 'key'))
  expect(ending).toMatchObject({ type: 'wrong' })
  expect(parkedIn(traffic)).toBe(10 * MOST_SENDINGS)
})

test('an operation outlives minutes in which nobody is answered', async () => {
  const clock = virtualClock()
  const { client } = clientOf(clock, () => (clock.now() < 2 * MINUTE_MS ? undefined : placed()))
  expect(await endingOf(clock, client.perform(1, 'key'))).toMatchObject({ type: 'confirmed' })
})

test('the longer nobody is answered the less a client sends, until all is well again', async () => {
  const clock = virtualClock()
  let isUp = false
  let requests = 0
  const { client } = clientOf(clock, () => {
    requests++
    return isUp ? placed() : new Response(null, { status: 503 })
  })
  const first = client.perform(1, 'key')
  await clock.advance(MINUTE_MS)
  const before = requests
  await clock.advance(MINUTE_MS)
  expect(requests - before).toBeLessThan(before / 2)
  isUp = true
  await endingOf(clock, first)
  const takenMs: number[] = []
  for (let operation = 2; operation < 10; operation++) {
    const startMs = clock.now()
    await endingOf(clock, client.perform(operation, `key ${operation}`))
    takenMs.push(clock.now() - startMs)
  }
  expect(takenMs[0]).toBeGreaterThan(1000)
  expect(takenMs.at(-1)).toBe(0)
})
