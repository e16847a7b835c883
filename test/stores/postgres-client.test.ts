/** What a handler gets from pg inside a transaction: a client in everything but that it can't be given back. */
import pg, { type PoolClient } from 'pg'
import { afterAll, describe, expect, onTestFinished, test } from 'vitest'
import { idempotency, idempotencyOf } from '../../src/idempotency/index.ts'
import { postgresStore, type PostgresPool } from '../../src/stores/postgres/index.ts'
import { testServersAreThere } from '../support/left-out.ts'
import { connectPg, postgresUrl, run } from '../support/postgres.ts'
import { urlOf } from '../support/servers.ts'
import { backend, bench, opened, releaseShared, tableIn } from './postgres-bench.ts'

const url = await urlOf(postgresUrl)
testServersAreThere()
afterAll(releaseShared)

const poolOf = (pool: PostgresPool): pg.Pool => pool as pg.Pool

async function shop() {
  const { store, pool, schema } = await bench(connectPg)
  const orders = await tableIn({ schema }, 'name text')
  return {
    store,
    pool: poolOf(pool),
    orders,
    list: () => run(pool, `SELECT name FROM ${orders} ORDER BY name`),
  }
}

describe.skipIf(url === undefined)('the client that a handler gets', () => {
  const endings: readonly [string, (client: PoolClient) => unknown][] = [
    ['release()', (client) => client.release()],
    ['release(true)', (client) => client.release(true)],
    ['release(), twice', (client) => (client.release(), client.release())],
    ['end()', (client) => client.end()],
    ['end(callback)', (client) => new Promise<void>((resolve) => client.end(() => resolve()))],
  ]

  test.each(endings)(
    'is not lent to others by %s: whatever comes later is one transaction',
    async (_, end) => {
      const { store, pool, orders, list } = await shop()
      const handler = idempotency({ store, transactional: true })((request) =>
        idempotencyOf(request).transaction(async (client: PoolClient) => {
          try {
            await client.query(`INSERT INTO ${orders} VALUES ('mine')`)
          } finally {
            await end(client)
          }
          await pool.query(`INSERT INTO ${orders} VALUES ('of somebody else')`)
          await client.query(`INSERT INTO ${orders} VALUES ('mine, too')`)
          if (request.headers.has('fails')) throw new Error('changed its mind')
          return new Response('done')
        }),
      )
      const ask = (headers: Record<string, string>): Promise<Response> =>
        handler(
          new Request('https://a.test/', { method: 'POST', headers: { 'idempotency-key': 'k', ...headers } }),
        )
      await expect(ask({ fails: 'yes' })).rejects.toThrow('changed its mind')
      expect(await list()).toEqual(['of somebody else'])
      expect(await (await ask({})).text()).toBe('done')
      expect(await list()).toEqual(['mine', 'mine, too', 'of somebody else', 'of somebody else'])
      expect([pool.totalCount, pool.idleCount, pool.waitingCount]).toEqual([2, 2, 0])
    },
  )

  test('is a client of pg in all other things', async () => {
    const { store } = await shop()
    const transaction = await opened(store, undefined)
    const client = transaction.client as PoolClient
    expect(transaction.client).toBe(client)
    expect(client).toBeInstanceOf(pg.Client)
    expect(client.constructor).toBe(pg.Client)
    expect(Reflect.get(client, 'query')).toBe(Reflect.get(client, 'query'))
    expect(client.escapeIdentifier('a"b')).toBe('"a""b"')
    const notices: unknown[] = []
    const note = (notice: { message?: string | undefined }): void => void notices.push(notice.message)
    expect(client.on('notice', note)).toBe(client)
    await client.query(`DO $$ BEGIN RAISE NOTICE 'noted'; END $$`)
    client.removeListener('notice', note)
    await client.query(`DO $$ BEGIN RAISE NOTICE 'not noted'; END $$`)
    expect(notices).toEqual(['noted'])
    const named = { name: 'prepared', text: 'SELECT $1::int AS n' }
    expect((await client.query({ ...named, values: [1] })).rows).toEqual([{ n: 1 }])
    expect((await client.query({ ...named, values: [2] })).rows).toEqual([{ n: 2 }])
    const called = new Promise((resolve) => {
      client.query('SELECT 3 AS n', (_, result) => resolve(result.rows))
    })
    expect(await called).toEqual([{ n: 3 }])
    // As cursors and streams do it: an object that is sent, with events of its own.
    const rows: unknown[] = []
    const query = client.query(new pg.Query('SELECT generate_series(1, 3) AS n'))
    query.on('row', (row) => rows.push(row))
    await new Promise((resolve) => query.on('end', resolve))
    expect(rows).toEqual([{ n: 1 }, { n: 2 }, { n: 3 }])
    await transaction.rollback()
  })

  test.each(['commit', 'rollback'] as const)('refuses queries after %s: others have it then', async (end) => {
    const { store, orders, list } = await shop()
    const late = await opened(store, undefined)
    const client = late.client as PoolClient
    const pid = await backend(client)
    await late[end]()
    const next = await opened(store, undefined)
    expect(await backend(next.client)).toBe(pid)
    const query = (): unknown => client.query(`INSERT INTO ${orders} VALUES ('late')`)
    expect(query).toThrow('postgresStore: the transaction has ended')
    client.release()
    await next.commit()
    expect(await list()).toEqual([])
  })

  test('goes back to the pool even where a handler has put a release of its own in its place', async () => {
    const { store, pool } = await shop()
    const transaction = await opened(store, undefined)
    const client = transaction.client as PoolClient
    client.release = () => {}
    await transaction.commit()
    expect([pool.totalCount, pool.idleCount]).toEqual([pool.totalCount, pool.totalCount])
  })

  test('may be one that keeps private what it works with', async () => {
    class Private extends pg.Client {
      readonly #secret = 'its own'
      tell(): string {
        return this.#secret
      }
      get told(): string {
        return this.#secret
      }
    }
    const pool = new pg.Pool({ connectionString: url, Client: Private })
    onTestFinished(() => pool.end())
    const { schema } = await bench(connectPg)
    const transaction = await opened(postgresStore({ pool, schema }), undefined)
    const client = transaction.client as Private
    expect([client.tell(), client.told]).toEqual(['its own', 'its own'])
    await transaction.rollback()
  })
})
