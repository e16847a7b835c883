/** A disk that is full, as SQLite tells it: what was to be written fails, and its whole transaction is undone. */
import { expect, onTestFinished, test } from 'vitest'
import { idempotency, idempotencyOf, type IdempotencyEvent } from '../../idempotency/index.ts'
import { openDatabase, type SqliteDatabase } from './driver.ts'
import { sqliteStore } from './index.ts'

interface Full {
  readonly real: SqliteDatabase
  readonly database: SqliteDatabase
  /** How statements begin of which the next one has no room. */
  at: string | undefined
}

async function opened(): Promise<Full> {
  const real = await openDatabase(':memory:')
  onTestFinished(() => void real.close())
  const unless =
    (sql: string, work: (...args: never[]) => unknown) =>
    (...args: never[]): unknown => {
      if (full.at === undefined || !sql.startsWith(full.at)) return work(...args)
      full.at = undefined
      real.exec('ROLLBACK')
      throw Object.assign(new Error('database or disk is full'), { code: 'SQLITE_FULL', errcode: 13 })
    }
  const full: Full = {
    real,
    at: undefined,
    database: new Proxy(real, {
      get(target, name) {
        if (name === 'exec') return (sql: string) => unless(sql, () => real.exec(sql))()
        if (name !== 'prepare') return Reflect.get(target, name)
        return (sql: string) => {
          const statement = real.prepare(sql)
          const get = statement.get.bind(statement)
          return { get, run: statement.run.bind(statement), all: unless(sql, statement.all.bind(statement)) }
        }
      },
    }),
  }
  return full
}

const ordersIn = (database: SqliteDatabase): unknown =>
  Reflect.get(Object(database.prepare('SELECT count(*) AS n FROM orders').get()), 'n')

test.each([
  { what: 'a response', at: 'UPDATE' },
  { what: 'a commit', at: 'COMMIT' },
])('$what for which there is no room leaves nothing done, and the key is given back', async ({ at }) => {
  const full = await opened()
  full.real.exec('CREATE TABLE orders (x)')
  const types: IdempotencyEvent['type'][] = []
  const protect = idempotency({
    store: sqliteStore({ database: full.database }),
    transactional: true,
    scope: () => 'me',
    onEvent: ({ type }) => void types.push(type),
  })
  let runs = 0
  const handler = protect((request) =>
    idempotencyOf(request).transaction((client: SqliteDatabase) => {
      client.exec('INSERT INTO orders VALUES (1)')
      if (++runs === 1) full.at = at
      return new Response('done', { status: 201 })
    }),
  )
  const send = (): Promise<Response> =>
    handler(new Request('http://api.test/', { method: 'POST', headers: { 'idempotency-key': 'k' } }))
  expect(await (await send()).json()).toMatchObject({ status: 503, code: 'store-unavailable' })
  expect(ordersIn(full.real)).toBe(0)
  expect((await send()).status).toBe(201)
  expect(ordersIn(full.real)).toBe(1)
  expect(types).toEqual(['acquired', 'store-error', 'released', 'acquired', 'completed'])
})

test('a database that has no room for the tables says that, not that there is nothing to roll back', async () => {
  const full = await opened()
  full.at = 'COMMIT'
  const lease = { scope: 's', key: 'k', fingerprint: 'f', owner: 'o', leaseMs: 1000 }
  const store = sqliteStore({ database: full.database })
  await expect(store.heartbeat(lease)).rejects.toThrow('database or disk is full')
  expect(await store.heartbeat(lease)).toBe('lost')
})
