import type { FetchOptions } from '../../../src/index.ts'
import { latency, status } from '../../../src/testing/fault-server/faults.ts'
import type { SharedAnswer } from '../entries/worker.ts'
import { pause, same, type Api, type World } from './case.ts'

/** The requests of a worker, seen from outside: they share a client and must share nothing else. */
export interface IsolationCase {
  readonly name: string
  readonly options: FetchOptions
  /** How long a cache's store takes to set what it is given; without it there is no cache. */
  readonly storeMs?: number
  run(ask: Ask, world: World): Promise<void>
}

/** Sends a request to the worker, whose shared client then asks the API. */
export type Ask = (api: Api, how?: Asked) => Promise<SharedAnswer>

interface Asked {
  readonly signal?: AbortSignal
  /** The request is answered soon: it ends while its call still runs. */
  readonly leaves?: boolean
}

const fine = { status: 200, text: '{"ok":true}', attempts: 1 }
const waits: FetchOptions = {
  retry: false,
  circuitBreaker: { consecutive: 2, openMs: 300, whenOpen: 'wait' },
}

/** The first request ends before its answer came: its client has left. Then what the second one got. */
async function afterTheFirstLeft(ask: Ask, api: Api): Promise<SharedAnswer> {
  const controller = new AbortController()
  const first = ask(api, { signal: controller.signal }).catch(() => {})
  await pause(100)
  const second = ask(api)
  await pause(100)
  controller.abort()
  await first
  return second
}

export const isolationCases: readonly IsolationCase[] = [
  {
    name: 'requests that ask for the same get an answer each, where GETs are shared',
    options: { coalesce: true },
    async run(ask, world) {
      const slow = latency(300)
      const api = await world.api(slow, slow)
      same(await Promise.all([ask(api), ask(api)]), [fine, fine], 'answers')
    },
  },
  {
    name: 'a request whose client left does not end another one, where GETs are shared',
    options: { coalesce: true },
    async run(ask, world) {
      const slow = latency(500)
      same(await afterTheFirstLeft(ask, await world.api(slow, slow)), fine, 'answer')
    },
  },
  {
    name: 'a request that waits in line gets its turn from another request',
    options: { bulkhead: { maxConcurrent: 1 } },
    async run(ask, world) {
      const slow = latency(200)
      const api = await world.api(slow, slow, slow)
      same(await Promise.all([ask(api), ask(api), ask(api)]), [fine, fine, fine], 'answers')
    },
  },
  {
    name: 'a request that ended without its call does not keep its place for ever',
    options: { bulkhead: { maxConcurrent: 1 }, timeout: { totalMs: 1000 } },
    async run(ask, world) {
      const api = await world.api(latency(60_000))
      await ask(api, { leaves: true })
      await pause(500)
      same(await ask(api), fine, 'answer')
    },
  },
  {
    name: 'a request that ended in line does not block those behind it',
    options: { bulkhead: { maxConcurrent: 1 }, timeout: { totalMs: 9000 } },
    async run(ask, world) {
      const api = await world.api(latency(500))
      const first = ask(api)
      await pause(100)
      await ask(api, { leaves: true })
      same(await Promise.all([first, ask(api)]), [fine, fine], 'answers')
    },
  },
  {
    name: 'requests that wait at an open circuit are let through by the test request of one',
    options: waits,
    async run(ask, world) {
      const failure = status(503)
      const slow = latency(200)
      const api = await world.api(failure, failure, slow, slow, slow)
      for (let sent = 0; sent < 2; sent++) same((await ask(api)).status, 503, 'status')
      same(await Promise.all([ask(api), ask(api), ask(api)]), [fine, fine, fine], 'answers')
    },
  },
  {
    name: 'a test request that ended without its call does not keep the circuit shut',
    options: { ...waits, timeout: { attemptMs: 600 } },
    async run(ask, world) {
      const failure = status(503)
      const api = await world.api(failure, failure, latency(60_000))
      for (let sent = 0; sent < 2; sent++) same((await ask(api)).status, 503, 'status')
      await pause(400)
      await ask(api, { leaves: true })
      same(await ask(api), fine, 'answer')
    },
  },
  {
    name: 'a request whose client left during a backoff ends alone',
    options: { retry: { baseDelayMs: 400, jitter: 'none' } },
    async run(ask, world) {
      const failure = status(503)
      const answer = await afterTheFirstLeft(ask, await world.api(failure, failure))
      same([answer.status, answer.attempts], [200, 2], 'answer')
    },
  },
  {
    name: 'a call that fails does not wait for a request that ended while it stored, and gets what was stored before',
    options: { retry: false },
    storeMs: 100,
    async run(ask, world) {
      const failure = status(503)
      const api = await world.api(latency(0), latency(100), failure, failure)
      await ask(api)
      await ask(api, { leaves: true })
      const stored = { status: 200, text: fine.text }
      for (let sent = 0; sent < 2; sent++) {
        const { status, text } = await ask(api)
        same({ status, text }, stored, 'answer')
      }
    },
  },
]
