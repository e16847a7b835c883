/** A transaction that the server ends by itself: whoever works in it is told, and nothing of it stays. */
import { once } from 'node:events'
import { connect as connectSocket, createServer, type AddressInfo } from 'node:net'
import { afterAll, describe, expect, onTestFinished, test } from 'vitest'
import {
  idempotency,
  idempotencyOf,
  TransactionLostError,
  type IdempotencyEvent,
} from '../../src/idempotency/index.ts'
import { postgresStore } from '../../src/stores/postgres/index.ts'
import { testServersAreThere } from '../support/left-out.ts'
import { connectPg, connectTo, postgresUrl, run, terminate } from '../support/postgres.ts'
import { urlOf } from '../support/servers.ts'
import { ask, backend, bench, clients, opened, releaseShared, tableIn } from './postgres-bench.ts'

const url = await urlOf(postgresUrl)
testServersAreThere()
afterAll(releaseShared)

const aborted = (signal: AbortSignal): Promise<unknown> =>
  new Promise((resolve) => {
    signal.addEventListener('abort', () => resolve(signal.reason), { once: true })
  })

const request = (key: string | undefined): Request =>
  new Request('https://a.test/', {
    method: 'POST',
    headers: key === undefined ? {} : { 'idempotency-key': key },
  })

describe.skipIf(url === undefined).each(clients)(
  'a transaction that ends at the server, through $client',
  (each) => {
    type End = (pid: number) => Promise<unknown>
    const ends: readonly { by: string; leaseMs: number; end: End; says: RegExp }[] = [
      {
        by: 'pg_terminate_backend',
        leaseMs: 30_000,
        end: terminate,
        says: /terminat|CONNECTION_CLOSED/,
      },
      {
        by: 'idle_in_transaction_session_timeout',
        leaseMs: 100,
        end: async () => {},
        says: /idle-in-transaction timeout|CONNECTION_CLOSED/,
      },
    ]

    test.each(ends)(
      'by $by aborts the signal of its handler, and gives the key back',
      async ({ leaseMs, end, says }) => {
        const { store, pool, schema } = await bench(each.connect)
        const events: IdempotencyEvent[] = []
        const reasons: unknown[] = []
        const orders = await tableIn({ schema }, 'id int')
        const onEvent = (event: IdempotencyEvent): void => void events.push(event)
        const protect = idempotency({ store, transactional: true, leaseMs, onEvent })
        let runs = 0
        const handler = protect(async (incoming) => {
          const { transaction, signal } = bound(incoming)
          return transaction(async (client) => {
            await run(client, `INSERT INTO ${orders} VALUES (1)`)
            if (++runs > 1) return new Response('done')
            const told = aborted(signal)
            await end(await backend(client))
            reasons.push(await told)
            throw signal.reason
          })
        })
        expect((await handler(request('k'))).status).toBe(503)
        const [reason] = reasons
        expect(reason).toBeInstanceOf(TransactionLostError)
        expect(String((reason as Error).cause)).toMatch(says)
        expect(events.filter(({ type }) => type === 'lease-lost')).toEqual([
          { type: 'lease-lost', method: 'POST', path: '/', key: 'k', fence: 1 },
        ])
        expect(await run(pool, `SELECT id FROM ${orders}`)).toEqual([])
        expect(await (await handler(request('k'))).text()).toBe('done')
        expect(await run(pool, `SELECT id FROM ${orders}`)).toEqual([1])
      },
    )

    test('aborts the signal of a handler without a key, too', async () => {
      const { store } = await bench(each.connect)
      const handler = idempotency({ store })(async (incoming) => {
        const { transaction, signal } = bound(incoming)
        return transaction(async (client) => {
          const told = aborted(signal)
          await terminate(await backend(client))
          return Response.json(String(((await told) as Error).cause))
        })
      })
      await expect(handler(request(undefined))).rejects.toThrow(/terminat|CONNECTION_CLOSED/)
    })

    test.each(['complete', 'rollback', 'a commit that is refused'])(
      'tells nobody who has ended it: %s',
      async (how) => {
        const { store, schema } = await bench(each.connect)
        const once = await tableIn({ schema }, 'id int UNIQUE DEFERRABLE INITIALLY DEFERRED')
        const lease = ask()
        await store.acquire(lease)
        const transaction = await opened(store, lease)
        let lost = false
        void transaction.lost?.then(() => (lost = true))
        const { client } = transaction
        if (how === 'rollback') await transaction.rollback()
        else if (how === 'complete') await transaction.complete(Uint8Array.of(1))
        else {
          await run(client, `INSERT INTO ${once} VALUES (1), (1)`)
          await expect(transaction.complete(Uint8Array.of(1))).rejects.toThrow(/duplicate key/)
        }
        // Whatever the client has to say of that connection, it has said when the next query is answered.
        await store.acquire(ask({ key: 'another' }))
        expect(lost).toBe(false)
      },
    )
  },
)

describe.skipIf(url === undefined).each(clients)('a commit through $client', ({ client, connect }) => {
  test('that never arrives gives the key back, and its client is told to come again', async () => {
    const way = await without('holdfast_finish')
    const { schema, pool } = await bench(connectPg)
    const orders = await tableIn({ schema }, 'id int')
    const connection = connectTo(way, client)
    onTestFinished(connection.end)
    const store = postgresStore({ pool: connection.pool, schema })
    let runs = 0
    const handler = idempotency({ store, transactional: true })((incoming) =>
      bound(incoming).transaction(async (inside) => {
        await run(inside, `INSERT INTO ${orders} VALUES (${++runs})`)
        return new Response(`run ${runs}`)
      }),
    )
    const first = await handler(request('k'))
    expect([first.status, first.headers.get('retry-after')]).toEqual([503, '1'])
    expect(await (await handler(request('k'))).text()).toBe('run 2')
    expect(await run(pool, `SELECT id FROM ${orders}`)).toEqual([2])
  })

  // As after DISCARD ALL, or behind a pooler that gives each transaction another connection.
  test('is told as one only where it is one, also where the server has forgotten what was prepared', async () => {
    const { schema } = await bench(connectPg)
    const orders = await tableIn({ schema }, 'id int')
    const { pool, end } = await connect({}, 1)
    onTestFinished(end)
    const store = postgresStore({ pool, schema, preparedStatements: false })
    for (const lease of [ask({ key: 'k1' }), undefined, ask({ key: 'k2' }), undefined]) {
      if (lease !== undefined) await store.acquire(lease)
      const transaction = await opened(store, lease)
      await run(transaction.client, `INSERT INTO ${orders} VALUES (1)`)
      await (lease === undefined ? transaction.commit() : transaction.complete(Uint8Array.of(1)))
      await run(pool, 'DEALLOCATE ALL')
    }
    expect(await run(pool, `SELECT id FROM ${orders}`)).toEqual([1, 1, 1, 1])
  })
})

/** A way to the server on which the first message that has `text` in it is lost, and its connection with it. */
async function without(text: string): Promise<string> {
  const { hostname, port } = new URL(url ?? '')
  let lost = false
  const server = createServer((near) => {
    const far = connectSocket(Number(port), hostname)
    for (const socket of [near, far]) socket.on('error', () => {})
    far.pipe(near)
    near.on('data', (bytes) => {
      if (lost || !bytes.includes(text)) return far.write(bytes)
      lost = true
      far.destroy()
      return near.destroy()
    })
    near.on('end', () => far.end())
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  onTestFinished(() => void server.close())
  const way = new URL(url ?? '')
  way.port = String((server.address() as AddressInfo).port)
  return way.href
}

type Work = (client: unknown) => Promise<Response>

function bound(incoming: Request): { transaction: (work: Work) => Promise<Response>; signal: AbortSignal } {
  const context = idempotencyOf(incoming)
  return { transaction: (work) => context.transaction(work), signal: context.signal }
}
