import { createFetch, isHoldfastError, outcomeOf, type HoldfastFetch } from '../../../src/index.ts'
import { hang, status, stall, times } from '../../../src/testing/fault-server/faults.ts'
import { pause, rejection, same, type Case } from './case.ts'

const codeOf = (error: unknown): unknown => (isHoldfastError(error) ? error.code : String(error))

const quickBreaker = (): HoldfastFetch =>
  createFetch({ retry: false, circuitBreaker: { consecutive: 2, openMs: 300 } })

const onlyCircuit = (fetch: HoldfastFetch, url: string) => fetch.circuits.get(new URL(url).origin)

async function readToEnd({ body }: Response): Promise<void> {
  const reader = body?.getReader()
  for (let read = await reader?.read(); read?.done === false;) read = await reader?.read()
}

export const timeCases: readonly Case[] = [
  {
    name: 'an attempt that hangs is ended, and tried again',
    async run(world) {
      const api = await world.api(hang())
      const fetch = createFetch({ retry: { baseDelayMs: 10 }, timeout: { attemptMs: 500 } })
      const response = await fetch(api.url)
      same([response.status, outcomeOf(response)?.attempts], [200, 2], 'status, attempts')
    },
  },
  {
    name: 'a call that hangs is ended, retries and all',
    async run(world) {
      const api = await world.api(status(503), hang())
      const fetch = createFetch({ retry: { baseDelayMs: 10 }, timeout: { totalMs: 600 } })
      const error = await rejection(fetch(api.url))
      same(codeOf(error), 'ERR_TOTAL_TIMEOUT', 'code')
      same(outcomeOf(error)?.attempts, 2, 'attempts')
    },
  },
  {
    name: 'a body that falls silent is ended, where that is asked for',
    async run(world) {
      const api = await world.api(stall({ afterBytes: 4 }))
      const fetch = createFetch({ timeout: { bodyIdleMs: 300 } })
      const response = await fetch(api.url)
      // Not text(): Chromium's tells every broken body by an error of its own.
      same(codeOf(await rejection(readToEnd(response))), 'ERR_BODY_IDLE_TIMEOUT', 'code')
    },
  },
  {
    name: 'the breaker opens, rejects without a request, tests once and closes',
    async run(world) {
      const api = await world.api(...times(2, status(503)))
      const fetch = quickBreaker()
      for (const expected of [503, 503]) same((await fetch(api.url)).status, expected, 'status')
      const error = await rejection(fetch(api.url))
      same(codeOf(error), 'ERR_CIRCUIT_OPEN', 'code')
      same((await api.requests()).length, 2, 'requests while it is open')
      await pause(450)
      same((await fetch(api.url)).status, 200, 'status of the test request')
      same(onlyCircuit(fetch, api.url).state, 'closed', 'state')
    },
  },
  {
    name: 'a test request that fails opens the circuit again',
    async run(world) {
      const api = await world.api(...times(3, status(503)))
      const fetch = quickBreaker()
      await fetch(api.url)
      await fetch(api.url)
      await pause(450)
      same((await fetch(api.url)).status, 503, 'status of the test request')
      same(onlyCircuit(fetch, api.url).state, 'open', 'state')
    },
  },
  {
    name: 'a call can wait at an open circuit',
    async run(world) {
      const api = await world.api(...times(2, status(503)))
      const fetch = createFetch({
        retry: false,
        circuitBreaker: { consecutive: 2, openMs: 300, whenOpen: 'wait' },
      })
      await fetch(api.url)
      await fetch(api.url)
      const responses = await Promise.all([fetch(api.url), fetch(api.url)])
      same(
        responses.map((response) => response.status),
        [200, 200],
        'statuses',
      )
    },
  },
  {
    name: 'a bulkhead lets calls wait in line',
    async run(world) {
      const api = await world.api()
      const fetch = createFetch({ bulkhead: { maxConcurrent: 1 } })
      const responses = await Promise.all([fetch(api.url), fetch(api.url), fetch(api.url)])
      same(
        responses.map((response) => response.status),
        [200, 200, 200],
        'statuses',
      )
    },
  },
]
