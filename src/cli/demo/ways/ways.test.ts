import { expect, test } from 'vitest'
import { Scope } from '../../../primitives/signal.ts'
import {
  faultServer,
  noBackoff,
  reset,
  resetAfter,
  status,
  times,
  type Fault,
  type FaultServer,
} from '../../../testing/index.ts'
import { makeOrders } from '../order.ts'
import { Tally } from '../tally.ts'
import { bare } from './bare.ts'
import { holdfast } from './holdfast.ts'
import { naive } from './naive.ts'
import type { Way } from './way.ts'

interface Run {
  readonly confirmed: boolean
  readonly server: FaultServer
  readonly tally: Tally
}

/** Places one order through these faults. The API counts it once for each request that reaches it. */
async function place(way: Way, faults: (Fault | Fault[])[]): Promise<Run> {
  const handler = (): Response => Response.json({ id: 1 }, { status: 201 })
  await using server = await faultServer({ handler, faults })
  const tally = new Tally()
  const context = { url: `${server.url}/orders`, clock: noBackoff.clock, scope: new Scope(), tally }
  const [order] = makeOrders(1)
  return { confirmed: await way(context)(order!), server, tally }
}

const keysOf = ({ server }: Run): Set<string | undefined> =>
  new Set(server.requests.map(({ headers }) => headers['idempotency-key']))

test('bare fetch asks once', async () => {
  expect((await place(bare, [])).confirmed).toBe(true)
  const run = await place(bare, [status(503)])
  expect(run.confirmed).toBe(false)
  expect(run.tally.requests).toBe(1)
  expect((await place(bare, [resetAfter()])).server.stats.handled).toBe(1)
})

test('the naive loop asks up to five times, and each time it may be a new order', async () => {
  const run = await place(naive, [resetAfter(), status(503), reset()])
  expect(run.confirmed).toBe(true)
  expect(run.tally).toMatchObject({ requests: 4, retries: 3 })
  expect(run.server.stats.handled).toBe(2)
  expect(keysOf(run)).toEqual(new Set([undefined]))

  const unlucky = await place(naive, [times(9, status(503))])
  expect(unlucky.confirmed).toBe(false)
  expect(unlucky.tally).toMatchObject({ requests: 5, retries: 4 })
})

test('Holdfast asks with one key until there is an answer, parked in between', async () => {
  const run = await place(holdfast, [resetAfter(), times(6, status(503)), reset()])
  expect(run.confirmed).toBe(true)
  expect(run.server.requests).toHaveLength(9)
  expect(keysOf(run).size).toBe(1)
  expect(keysOf(run)).not.toContain(undefined)
  expect(run.tally).toMatchObject({ requests: 9, retries: 7, parked: 1, waiting: 0, parkedMs: 1000 })
})

test('an order that is parked twice is one parked order', async () => {
  const run = await place(holdfast, [times(2, status(503, { retryAfter: 61 }))])
  expect(run.confirmed).toBe(true)
  expect(run.tally).toMatchObject({ requests: 3, retries: 0, parked: 1, waiting: 0, parkedMs: 122_000 })
})

test('a definite refusal is an answer, too', async () => {
  const run = await place(holdfast, [status(422)])
  expect(run.confirmed).toBe(false)
  expect(run.tally).toMatchObject({ requests: 1, parked: 0 })
})
