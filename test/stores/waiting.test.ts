/** Duplicates that wait for a request at another server, over real stores: each server has a client of its own. */
import { randomUUID } from 'node:crypto'
import { describe, expect, onTestFinished, test } from 'vitest'
import {
  idempotency,
  idempotencyOf,
  type IdempotencyEvent,
  type IdempotencyStore,
} from '../../src/idempotency/index.ts'
import { postgresStore } from '../../src/stores/postgres/index.ts'
import { senderOf } from '../../src/stores/redis/client.ts'
import { redisStore } from '../../src/stores/redis/index.ts'
import { testServersAreThere } from '../support/left-out.ts'
import { connectPg, connectPostgresJs, postgresUrl, temporarySchema } from '../support/postgres.ts'
import { connectIoRedis, connectNodeRedis, deleteAll } from '../support/redis.ts'
import { redisUrl } from '../support/redis-server.ts'
import { urlOf } from '../support/servers.ts'

const redis = await urlOf(redisUrl)
const postgres = await urlOf(postgresUrl)
testServersAreThere()

/** Makes stores that share their keys, each over a connection of its own. */
type Shared = () => Promise<() => Promise<IdempotencyStore>>

const overRedis =
  (connect: typeof connectIoRedis): Shared =>
  async () => {
    const prefix = `holdfast-test:${randomUUID()}:`
    return async () => {
      const { client, quit } = await connect(redis ?? '')
      onTestFinished(async () => {
        await deleteAll(senderOf(client), prefix)
        await quit()
      })
      return redisStore({ client, prefix })
    }
  }

const overPostgres =
  (connect: typeof connectPg): Shared =>
  async () => {
    const schema = await temporarySchema()
    onTestFinished(() => schema[Symbol.asyncDispose]())
    return async () => {
      const { pool, end } = await connect()
      onTestFinished(end)
      const store = postgresStore({ pool, schema: schema.name })
      await store.migrate()
      return store
    }
  }

const shared: readonly { over: string; missing: boolean; transactions: boolean; make: Shared }[] = [
  { over: 'ioredis', missing: redis === undefined, transactions: false, make: overRedis(connectIoRedis) },
  {
    over: 'node-redis',
    missing: redis === undefined,
    transactions: false,
    make: overRedis(connectNodeRedis),
  },
  { over: 'pg', missing: postgres === undefined, transactions: true, make: overPostgres(connectPg) },
  {
    over: 'postgres.js',
    missing: postgres === undefined,
    transactions: true,
    make: overPostgres(connectPostgresJs),
  },
]

/** Knows how often the store has said that somebody else is at it. */
function observed(inner: IdempotencyStore): {
  readonly store: IdempotencyStore
  readonly busy: () => number
} {
  let busy = 0
  const store = new Proxy(inner, {
    get(target, name) {
      const member: unknown = Reflect.get(target, name)
      if (typeof member !== 'function') return member
      return async (...args: unknown[]): Promise<unknown> => {
        const answer: unknown = await Reflect.apply(member, target, args)
        if (Reflect.get(Object(answer), 'type') === 'busy') busy++
        return answer
      }
    },
  })
  return { store, busy: () => busy }
}

const ask = (prefer?: string): Request =>
  new Request('https://a.test/', {
    method: 'POST',
    headers: { 'idempotency-key': 'k', ...(prefer === undefined ? {} : { prefer }) },
  })

for (const { over, missing, transactions, make } of shared) {
  describe.skipIf(missing)(`two servers over ${over}`, () => {
    const ways = transactions ? ['a lease', 'a transaction'] : ['a lease']

    test.each(ways)('with %s: the second waits, and answers with the response of the first', async (way) => {
      const store = await make()
      const events: IdempotencyEvent[] = []
      const other = observed(await store())
      let finish = (): void => {}
      const finished = new Promise<void>((resolve) => (finish = resolve))
      let begun = (): void => {}
      const running = new Promise<void>((resolve) => (begun = resolve))
      const work = async (): Promise<Response> => {
        begun()
        await finished
        return new Response('order 1', { status: 201 })
      }
      const first = idempotency({ store: await store() })((incoming) =>
        way === 'a lease' ? work() : idempotencyOf(incoming).transaction(work),
      )
      const onEvent = (event: IdempotencyEvent): void => void events.push(event)
      const second = idempotency({ store: other.store, inFlight: 'wait', onEvent })(
        () => new Response('ran twice'),
      )
      const reply = first(ask())
      await running
      const waiting = second(ask())
      // It has asked when it came, and again while it waited.
      await expect.poll(other.busy, { timeout: 10_000 }).toBeGreaterThan(2)
      finish()
      const [own, replayed] = await Promise.all([reply, waiting])
      expect([own.status, await own.text(), own.headers.get('idempotent-replayed')]).toEqual([
        201,
        'order 1',
        null,
      ])
      expect([replayed.status, await replayed.text()]).toEqual([201, 'order 1'])
      expect(replayed.headers.get('idempotent-replayed')).toBe('true')
      expect(events.map(({ type }) => type)).toEqual(['waited', 'replayed'])
      expect(events[0]).toMatchObject({ ending: 'answered' })
    })

    test('the second runs itself where the first gives the key back', async () => {
      const store = await make()
      const other = observed(await store())
      let finish = (): void => {}
      const finished = new Promise<void>((resolve) => (finish = resolve))
      let begun = (): void => {}
      const running = new Promise<void>((resolve) => (begun = resolve))
      const first = idempotency({ store: await store() })(async () => {
        begun()
        await finished
        return new Response('not now', { status: 503 })
      })
      const second = idempotency({ store: other.store })(() => new Response('second', { status: 201 }))
      const reply = first(ask())
      await running
      const waiting = second(ask('wait=20'))
      await expect.poll(other.busy, { timeout: 10_000 }).toBeGreaterThan(1)
      finish()
      expect((await reply).status).toBe(503)
      expect(await (await waiting).text()).toBe('second')
    })
  })
}
