import { once } from 'node:events'
import type { ServerResponse } from 'node:http'
import { setTimeout as sleep } from 'node:timers/promises'
import { describe, expect, test } from 'vitest'
import {
  conformance,
  conformanceReport,
  type ConformanceOptions,
  type ConformanceReport,
} from '../../src/testing/index.ts'
import { serveFlawed, type Flaw } from './flawed.ts'

type Admitted = (response: ServerResponse) => Promise<unknown>

/** Every request takes longer to arrive than the handler is asked to run at first. */
const LATENCY_MS = 80
const slow: Admitted = () => sleep(LATENCY_MS)

/** One request after the other: while a client waits for its answer, no other one is looked at. */
function oneByOne(): Admitted {
  let last: Promise<unknown> = Promise.resolve()
  return (response) => {
    const turn = last
    last = turn.then(() => once(response, 'close'))
    return turn
  }
}

type Times = Pick<ConformanceOptions, 'delayMs' | 'timeoutMs'>

/** Time for several attempts. */
const patient: Times = { delayMs: 30, timeoutMs: 15_000 }
/** Time for one attempt, and much to spare for a busy machine. */
const brief: Times = { delayMs: 1500, timeoutMs: 7000 }

async function rowOf(id: string, flaw: Flaw, admitted: Admitted, times: Times): Promise<ConformanceReport> {
  await using api = await serveFlawed(flaw, admitted)
  return await conformanceReport({ url: api.url, ...times, only: [id] })
}

// For machines that are busy with other tests, too.
const timeout = 60_000

describe('where requests arrive after a short handler has ended', { timeout }, () => {
  test.concurrent.each(['D11', 'P1', 'P2', 'P3', 'P16', 'P16-wait'])(
    '%s passes where it should, with a handler that runs longer',
    async (id) => {
      expect((await rowOf(id, 'none', slow, patient)).rows).toMatchObject([{ id, result: 'pass' }])
    },
  )

  test.concurrent.each([
    ['answers 409 in plain text', 'D11'],
    ['looks, then claims', 'P1'],
    ['409 before 422', 'P2'],
    ['saves only what the client saw', 'P3'],
    ['no Retry-After', 'P16'],
    ['never waits', 'P16-wait'],
  ] as const)('an API that %s fails %s, as on a quick machine', async (flaw, id) => {
    expect((await rowOf(id, flaw, slow, patient)).rows).toMatchObject([{ id, result: 'fail' }])
  })
})

describe('where requests never overlap', { timeout }, () => {
  test.concurrent.each(['D11', 'D15', 'P2', 'P16', 'P16-wait'])(
    '%s is inconclusive, and says why',
    async (id) => {
      const { rows } = await rowOf(id, 'none', oneByOne(), brief)
      const detail = expect.stringMatching(/^too slow to tell: .+ for \d+ ms; try a larger/)
      expect(rows).toMatchObject([{ id, result: 'inconclusive', detail }])
    },
  )

  test.concurrent('fifty requests of which one runs are no pass, so that the API is not said to conform', async () => {
    const { rows, summary } = await rowOf('P1', 'none', oneByOne(), brief)
    expect(rows).toMatchObject([{ id: 'P1', result: 'inconclusive' }])
    expect(summary).toMatchObject({ passed: 0, failed: 0, inconclusive: 1, conforms: false })
  })

  test.concurrent('the row as a test rejects, since it shows nothing', async () => {
    await using api = await serveFlawed('none', oneByOne())
    const rows = conformance({ url: api.url, ...brief })
    const p2 = rows.find(({ id }) => id === 'P2')
    await expect(p2?.run()).rejects.toThrow('too slow to tell')
  })
})
