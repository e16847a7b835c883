import { httpCache } from '../../../src/cache/index.ts'
import { createFetch, outcomeOf } from '../../../src/index.ts'
import { latency, status } from '../../../src/testing/fault-server/faults.ts'
import { check, rejection, same, type Case } from './case.ts'

const stored = status(200, {
  headers: { 'cache-control': 'max-age=60', 'content-type': 'application/json' },
  body: '{"from":"yesterday"}',
})

export const sharedCases: readonly Case[] = [
  {
    name: 'a stored response is served while the circuit is open',
    async run(world) {
      const api = await world.api(stored)
      const fetch = createFetch({ cache: httpCache() })
      same(await (await fetch(api.url)).json(), { from: 'yesterday' }, 'from the network')
      fetch.circuits.get(new URL(api.url).origin).isolate()
      const response = await fetch(api.url)
      same(await response.json(), { from: 'yesterday' }, 'from the cache')
      same(outcomeOf(response)?.source, 'cache', 'source')
      same((await api.requests()).length, 1, 'requests')
    },
  },
  {
    name: 'a fallback answers what failed for good',
    async run(world) {
      const api = await world.api(status(503))
      const fetch = createFetch({ retry: false, fallback: () => Response.json({ plain: true }) })
      const response = await fetch(api.url)
      same([await response.json(), outcomeOf(response)?.source], [{ plain: true }, 'fallback'], 'answer')
    },
  },
  {
    name: 'GETs at the same time share a request, and the abort of one leaves the others alone',
    async run(world) {
      const slow = latency(150)
      const api = await world.api(slow, slow, slow)
      const fetch = createFetch({ coalesce: true })
      const controller = new AbortController()
      const leaving = rejection(fetch(api.url, { signal: controller.signal }))
      const others = [fetch(api.url), fetch(api.url)]
      setTimeout(() => controller.abort(new Error('left')), 50)
      same(String(await leaving), 'Error: left', 'who left')
      const bodies = await Promise.all(others.map(async (other) => (await other).text()))
      same(bodies, ['{"ok":true}', '{"ok":true}'], 'bodies')
      // Requests of a worker share nothing that runs.
      same((await api.requests()).length, world.place === 'worker' ? 3 : 1, 'requests')
    },
  },
  {
    name: 'events come in order',
    async run(world) {
      const api = await world.api(status(503))
      const events: string[] = []
      const fetch = createFetch({ retry: { baseDelayMs: 10 }, onEvent: ({ type }) => events.push(type) })
      await fetch(api.url)
      const attempt = ['attempt-start', 'attempt-end']
      same(events, ['call-start', ...attempt, 'retry', ...attempt, 'call-end'], 'events')
    },
  },
  {
    name: 'a second request is sent beside a slow one',
    async run(world) {
      const api = await world.api(latency(2000))
      const seen: string[] = []
      const fetch = createFetch({
        hedge: { delayMs: 50 },
        onEvent: ({ type }) => seen.push(type),
      })
      same((await fetch(api.url)).status, 200, 'status')
      check(seen.includes('hedge'), `events: ${seen.join(' ')}`)
    },
  },
]
