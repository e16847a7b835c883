import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, onTestFinished, test } from 'vitest'
import type { AcquireRequest, IdempotencyStore, Lease, StoreTransaction } from '../../idempotency/store.ts'
import { virtualClock } from '../../testing/virtual-clock.ts'
import { openDatabase, type SqliteDatabase } from './driver.ts'
import { SQLITE_STORE_DEFAULTS, sqliteStore, type SqliteStoreOptions } from './index.ts'

let folder = ''
let path = ''
const stores: IdempotencyStore[] = []
const databases: SqliteDatabase[] = []

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'holdfast-'))
  path = join(folder, 'keys.db')
})

afterEach(async () => {
  for (const store of stores.splice(0)) await store.close?.()
  for (const database of databases.splice(0)) database.close()
  await rm(folder, { recursive: true })
})

function open(options: Partial<SqliteStoreOptions> = {}): IdempotencyStore {
  const store = sqliteStore({ path, ...options } as SqliteStoreOptions)
  stores.push(store)
  return store
}

async function openOther(): Promise<SqliteDatabase> {
  const database = await openDatabase(path)
  databases.push(database)
  database.exec('PRAGMA busy_timeout = 0')
  return database
}

const ask = (key: string, overrides: Partial<AcquireRequest> = {}): AcquireRequest => ({
  scope: 's',
  key,
  fingerprint: 'f',
  owner: `owner of ${key}`,
  leaseMs: 100,
  ttlMs: 1000,
  abandoned: 'block',
  maxKeysPerScope: 1000,
  ...overrides,
})

async function begun(store: IdempotencyStore, lease?: Lease): Promise<StoreTransaction> {
  const transaction = await store.begin?.(lease)
  if (transaction === undefined || transaction === 'stale') throw new Error('no transaction')
  return transaction
}

const count = (database: SqliteDatabase, table: string): number =>
  Number(Reflect.get(Object(database.prepare(`SELECT count(*) AS n FROM ${table}`).get()), 'n'))

/** How SQLite goes about a statement, step by step. */
function planOf(database: SqliteDatabase, sql: string): string[] {
  const values = sql
    .split('?')
    .slice(1)
    .map(() => 0)
  const steps = database.prepare(`EXPLAIN QUERY PLAN ${sql}`).all(...values)
  return steps.map((step) => String(Reflect.get(Object(step), 'detail')))
}

describe('a SQLite store', () => {
  test('is told when a commit fails, in a database without a write-ahead log', async () => {
    const database = await openOther()
    const reader = await openOther()
    const store = open({ path: undefined as never, database })
    const request = ask('k')
    await store.acquire(request)
    reader.exec('BEGIN')
    reader.prepare('SELECT count(*) FROM holdfast_keys').get()
    await expect(store.complete(request, Uint8Array.of(1))).rejects.toThrow(/locked|busy/i)
    reader.exec('COMMIT')
    expect(await store.complete(request, Uint8Array.of(1))).toBe('completed')
  })

  test('gives up a commit for good when it is rolled back: the next transaction is not committed by it', async () => {
    const clock = virtualClock()
    const database = await openOther()
    const reader = await openOther()
    const store = open({ path: undefined as never, database, clock })
    database.exec('CREATE TABLE orders (name TEXT)')
    await store.acquire(ask('k'))
    const givenUp = await begun(store, ask('k'))
    database.exec("INSERT INTO orders VALUES ('given up')")
    reader.exec('BEGIN')
    count(reader, 'orders')
    const completing = givenUp.complete(Uint8Array.of(1)).catch((error: unknown) => error)
    await clock.advance(100)
    await givenUp.rollback()
    const next = await begun(store)
    database.exec("INSERT INTO orders VALUES ('next')")
    reader.exec('COMMIT')
    await clock.advance(1000)
    await next.rollback()
    expect(await completing).toMatchObject({ message: 'sqliteStore: the transaction has ended' })
    expect(count(reader, 'orders')).toBe(0)
    expect(await store.read(ask('k'))).toBeUndefined()
  })

  test.each(['complete', 'heartbeat', 'release'] as const)(
    "does not %s inside a transaction of somebody else's, who may undo it",
    async (operation) => {
      const database = await openOther()
      const store = open({ path: undefined as never, database })
      await store.acquire(ask('k'))
      database.exec('BEGIN')
      await expect(store[operation](ask('k'), Uint8Array.of(1))).rejects.toThrow(
        "sqliteStore: the connection is in a transaction that is not the store's",
      )
      database.exec('ROLLBACK')
      expect(await store.complete(ask('k'), Uint8Array.of(1))).toBe('completed')
    },
  )

  test('opens its file on first use, not before', async () => {
    const store = open({ path: join(folder, 'missing', 'keys.db') })
    await expect(store.acquire(ask('k'))).rejects.toThrow(/unable to open|cannot open|does not exist/i)
    await writeFile(path, '')
    expect((await open().acquire(ask('k'))).type).toBe('acquired')
  })

  test('keeps its keys from one process to the next', async () => {
    const first = open()
    await first.acquire(ask('k'))
    await first.complete(ask('k'), Uint8Array.of(0, 255))
    await first.close?.()
    await expect(first.acquire(ask('k'))).rejects.toThrow('sqliteStore: the store was closed')
    const result = await open().acquire(ask('k'))
    expect(result.type === 'done' && [...result.response]).toEqual([0, 255])
  })

  test('lives in the database of the application, and leaves its settings and tables alone', async () => {
    const database = await openOther()
    database.exec('CREATE TABLE orders (id INTEGER PRIMARY KEY); PRAGMA user_version = 7')
    const store = sqliteStore({ database })
    expect((await store.acquire(ask('k'))).type).toBe('acquired')
    const transaction = await begun(store, ask('k'))
    expect(transaction).toMatchObject({ client: database })
    database.exec('INSERT INTO orders DEFAULT VALUES')
    expect(await transaction.complete(Uint8Array.of(1))).toBe('completed')
    await store.close?.()
    expect(count(database, 'orders')).toBe(1)
    expect(database.prepare('PRAGMA user_version').get()).toMatchObject({ user_version: 7 })
    expect(database.prepare('PRAGMA journal_mode').get()).toMatchObject({ journal_mode: 'delete' })
  })

  test('survives a power cut by default, and says how', async () => {
    const readSettings = async (store: IdempotencyStore): Promise<unknown[]> => {
      const transaction = await begun(store)
      const client = transaction.client as SqliteDatabase
      const settings = ['journal_mode', 'synchronous', 'busy_timeout'].map((name) => {
        const row = client.prepare(`PRAGMA ${name}`).get()
        return Object.values(Object(row))[0]
      })
      await transaction.rollback()
      return settings
    }
    expect(await readSettings(open())).toEqual(['wal', 2, 0])
    expect(await readSettings(open({ synchronous: 'normal' }))).toEqual(['wal', 1, 0])
    expect(SQLITE_STORE_DEFAULTS).toEqual({ synchronous: 'full', busyTimeoutMs: 1000 })
  })

  test('of several connections on one file gives a key to exactly one', async () => {
    const many = [open(), open(), open(), open()]
    const asked = Array.from({ length: 10 }, (_, index) =>
      many.map((store, connection) => store.acquire(ask('k', { owner: `owner ${index} ${connection}` }))),
    )
    const results = await Promise.all(asked.flat())
    expect(results.filter((result) => result.type === 'acquired').length).toBe(1)
    expect(results.filter((result) => result.type === 'busy').length).toBe(39)
  })

  test('answers duplicates while somebody else holds the write lock', async () => {
    const store = open()
    await store.acquire(ask('k'))
    await store.complete(ask('k'), Uint8Array.of(1))
    const other = await openOther()
    other.exec('BEGIN IMMEDIATE')
    expect((await store.acquire(ask('k'))).type).toBe('done')
    other.exec('ROLLBACK')
  })

  test('lets duplicates past new keys that wait for the write lock', async () => {
    const clock = virtualClock()
    const store = open({ clock })
    await store.acquire(ask('k'))
    await store.complete(ask('k'), Uint8Array.of(1))
    const other = await openOther()
    other.exec('BEGIN IMMEDIATE')
    const waiting = ['a', 'b', 'c'].map((key) => store.acquire(ask(key)))
    // No time passes: who waited behind them would wait for ever.
    expect((await store.acquire(ask('k'))).type).toBe('done')
    expect(await store.read(ask('k'))).toEqual(Uint8Array.of(1))
    other.exec('ROLLBACK')
    await clock.advance(1000)
    for (const { type } of await Promise.all(waiting)) expect(type).toBe('acquired')
  })

  test('shows nobody what a transaction has written and may yet undo', async () => {
    const store = open()
    await store.acquire(ask('k'))
    const transaction = await begun(store, ask('k'))
    Object(transaction.client).exec("UPDATE holdfast_keys SET state = 'done', response = x'00'")
    const duplicate = store.acquire(ask('k', { owner: 'another' }))
    await transaction.rollback()
    expect((await duplicate).type).toBe('busy')
  })

  test('waits for the write lock without blocking the event loop, and not for ever', async () => {
    const clock = virtualClock()
    const store = open({ clock })
    await store.acquire(ask('k'))
    const other = await openOther()
    other.exec('BEGIN IMMEDIATE')
    const patient = store.acquire(ask('later'))
    await clock.advance(900)
    other.exec('ROLLBACK')
    await clock.advance(100)
    expect((await patient).type).toBe('acquired')
    other.exec('BEGIN IMMEDIATE')
    const refused = store.acquire(ask('never')).catch((error: unknown) => error)
    await clock.advance(1000)
    expect(await refused).toMatchObject({ message: expect.stringMatching(/locked/) })
    other.exec('ROLLBACK')
    expect((await store.acquire(ask('after'))).type).toBe('acquired')
  })

  test('gives up at once what has waited behind others for the lock', async () => {
    const clock = virtualClock()
    const store = open({ clock })
    await store.acquire(ask('k'))
    const other = await openOther()
    other.exec('BEGIN IMMEDIATE')
    const results = ['a', 'b', 'c'].map((key) => store.acquire(ask(key)).catch(String))
    for (let step = 0; step < 11; step++) await clock.advance(100)
    for (const result of results) expect(await result).toMatch(/locked/)
    other.exec('ROLLBACK')
  })

  test.each(['complete', 'heartbeat', 'release'] as const)(
    'goes on after a %s that gave up at the lock',
    async (operation) => {
      const clock = virtualClock()
      const store = open({ clock })
      await store.acquire(ask('k'))
      const other = await openOther()
      other.exec('BEGIN IMMEDIATE')
      const refused = store[operation](ask('k'), Uint8Array.of(1)).catch(String)
      await clock.advance(1000)
      expect(await refused).toMatch(/locked/)
      other.exec('ROLLBACK')
      expect((await store.acquire(ask('after'))).type).toBe('acquired')
    },
  )

  test('whose file is locked while it opens it waits, too', async () => {
    const clock = virtualClock()
    const other = await openOther()
    other.exec('CREATE TABLE t (x); BEGIN EXCLUSIVE')
    const store = open({ clock })
    const patient = store.acquire(ask('k'))
    await clock.advance(200)
    other.exec('ROLLBACK')
    await clock.advance(200)
    expect((await patient).type).toBe('acquired')
  })

  test('lets everybody wait while a transaction is open, in the order they came', async () => {
    const store = open()
    await store.acquire(ask('k'))
    const transaction = await begun(store, ask('k'))
    const order: string[] = []
    const waiting = ['a', 'b', 'c'].map((key) => store.acquire(ask(key)).then(() => order.push(key)))
    await new Promise((resolve) => {
      setImmediate(resolve)
    })
    expect(order).toEqual([])
    await transaction.rollback()
    await transaction.rollback()
    await Promise.all(waiting)
    expect(order).toEqual(['a', 'b', 'c'])
  })

  test('gives no transaction to who does not own the key', async () => {
    const store = open()
    await store.acquire(ask('k'))
    expect(await store.begin?.(ask('k', { owner: 'stranger' }))).toBe('stale')
    expect(await store.begin?.(ask('other'))).toBe('stale')
    expect((await store.acquire(ask('free'))).type).toBe('acquired')
  })

  test("undoes everything where the key is no longer the owner's at the end of its transaction", async () => {
    const store = open()
    await store.acquire(ask('k'))
    const transaction = await begun(store, ask('k'))
    const client = transaction.client as SqliteDatabase
    client.exec("CREATE TABLE effects (x); UPDATE holdfast_keys SET owner = 'somebody else'")
    expect(await transaction.complete(Uint8Array.of(1))).toBe('stale')
    const other = await openOther()
    expect(count(other, "sqlite_schema WHERE name = 'effects'")).toBe(0)
    expect(await store.complete(ask('k'), Uint8Array.of(1))).toBe('completed')
  })

  test('notices that a transaction was ended by the application', async () => {
    const store = open()
    await store.acquire(ask('k'))
    const transaction = await begun(store, ask('k'))
    const client = transaction.client as SqliteDatabase
    client.exec('COMMIT')
    await expect(transaction.complete(Uint8Array.of(1))).rejects.toThrow('was ended inside transaction(fn)')
    await expect(transaction.rollback()).rejects.toThrow('was ended inside transaction(fn)')
    expect((await store.acquire(ask('k', { owner: 'other' }))).type).toBe('busy')
  })

  test('deletes expired rows once a minute where new keys come slowly', async () => {
    const clock = virtualClock()
    const store = open({ clock })
    const keys = await openOther()
    await store.acquire(ask('first'))
    for (let key = 0; key < 10; key++) await store.acquire(ask(`old ${key}`))
    await clock.advance(59_999)
    await store.acquire(ask('too soon'))
    expect(count(keys, 'holdfast_keys')).toBe(12)
    await clock.advance(1)
    await store.acquire(ask('in time'))
    expect(count(keys, 'holdfast_keys')).toBe(2)
  })

  test('deletes expired rows in batches, while new keys come', async () => {
    const clock = virtualClock()
    const store = open({ clock })
    const other = await openOther()
    for (let key = 0; key < 200; key++) await store.acquire(ask(`old-${key}`))
    await clock.advance(2000)
    for (let key = 0; key < 130; key++) await store.acquire(ask(`new-${key}`))
    const left = count(other, "holdfast_keys WHERE key LIKE 'old-%'")
    expect(left).toBeLessThan(100)
    expect(Reflect.get(Object(other.prepare('SELECT keys FROM holdfast_scopes').get()), 'keys')).toBe(
      left + 130,
    )
  })

  test('deletes a few large responses at a time, and more with each key until none is left', async () => {
    const clock = virtualClock()
    const store = open({ clock })
    const other = await openOther()
    for (let key = 0; key < 10; key++) {
      await store.acquire(ask(`old ${key}`))
      await store.complete(ask(`old ${key}`), new Uint8Array(1_048_576))
    }
    await clock.advance(100_000)
    const left: unknown[] = []
    for (let key = 0; key < 4; key++) {
      await store.acquire(ask(`new ${key}`))
      left.push(count(other, "holdfast_keys WHERE key LIKE 'old %'"))
    }
    expect(left).toEqual([6, 2, 0, 0])
  })

  test('refuses keys of a full scope without looking at all of them, and without the write lock', async () => {
    const clock = virtualClock()
    const store = open({ clock })
    const other = await openOther()
    const limited = (key: string, keys: number): AcquireRequest => ask(key, { maxKeysPerScope: keys })
    for (const key of ['1', '2']) await store.acquire(limited(key, 2))
    await clock.advance(500)
    expect(await store.acquire(limited('3', 2))).toMatchObject({ type: 'full', retryAfterMs: 500 })
    other.exec('BEGIN IMMEDIATE')
    expect(await store.acquire(limited('3', 2))).toMatchObject({ type: 'full', retryAfterMs: 500 })
    other.exec('ROLLBACK')
    expect((await store.acquire(limited('3', 3))).type).toBe('acquired')
    await clock.advance(500)
    expect((await store.acquire(limited('4', 3))).type).toBe('acquired')
  })

  test('finds what expires first in a full scope, and what has expired, by an index and not by looking', async () => {
    const clock = virtualClock()
    const real = await openDatabase(':memory:')
    databases.push(real)
    const prepared = new Set<string>()
    const database: SqliteDatabase = {
      exec: (sql) => real.exec(sql),
      prepare(sql) {
        prepared.add(sql)
        return real.prepare(sql)
      },
      close: () => real.close(),
    }
    const store = open({ path: undefined, database, clock })
    for (const key of ['1', '2']) await store.acquire(ask(key, { maxKeysPerScope: 2 }))
    expect((await store.acquire(ask('3', { maxKeysPerScope: 2 }))).type).toBe('full')
    await clock.advance(1000)
    expect((await store.acquire(ask('3', { maxKeysPerScope: 2 }))).type).toBe('acquired')
    const plans = [...prepared]
      .filter((sql) => /^(?:SELECT|DELETE)/.test(sql))
      .flatMap((sql) => planOf(real, sql))
    expect(plans).not.toEqual([])
    expect(plans.filter((step) => /^SCAN holdfast_keys|holdfast_keys.*\(scope=\?\)/.test(step))).toEqual([])
  })

  test('has room for a key of a smaller limit though more have expired than go at a time', async () => {
    const clock = virtualClock()
    const store = open({ clock })
    for (let key = 0; key < 300; key++) await store.acquire(ask(`old ${key}`))
    await clock.advance(100_000)
    for (const key of ['1', '2'])
      expect((await store.acquire(ask(key, { maxKeysPerScope: 2 }))).type).toBe('acquired')
    expect(await store.acquire(ask('3', { maxKeysPerScope: 2 }))).toMatchObject({ type: 'full' })
  })

  test('looks at a full scope again after a minute: another process may have made room', async () => {
    const clock = virtualClock()
    const store = open({ clock })
    const other = await openOther()
    const limited = (key: string): AcquireRequest => ask(key, { maxKeysPerScope: 1, ttlMs: 1e6 })
    await store.acquire(limited('1'))
    expect((await store.acquire(limited('2'))).type).toBe('full')
    other.exec('DELETE FROM holdfast_keys')
    await clock.advance(59_999)
    expect((await store.acquire(limited('2'))).type).toBe('full')
    await clock.advance(1)
    expect((await store.acquire(limited('2'))).type).toBe('acquired')
  })

  test('forgets scopes that have no keys', async () => {
    const clock = virtualClock()
    const store = open({ clock })
    const other = await openOther()
    await store.acquire(ask('k', { scope: 'gone' }))
    expect(count(other, "holdfast_scopes WHERE scope = 'gone'")).toBe(1)
    await clock.advance(2000)
    for (let key = 0; key < 65; key++) await store.acquire(ask(`${key}`))
    expect(count(other, "holdfast_scopes WHERE scope = 'gone'")).toBe(0)
  })
})

describe('what is not of this package', () => {
  test.each([
    ["UPDATE holdfast_keys SET owner = x'00'", /datatype|cannot store/i],
    ["UPDATE holdfast_keys SET state = 'lost'", /constraint/i],
    ["UPDATE holdfast_keys SET state = 'done'", /constraint/i],
  ])('can not be written into the tables: %s', async (sql, message) => {
    await open().acquire(ask('k'))
    const other = await openOther()
    expect(() => other.exec(sql)).toThrow(message)
  })

  test.each([
    ["'nonsense', 'f', 'o', 1, 1, 1, 1, NULL", 'state'],
    ["'done', 'f', 'o', 1, 1, 99999999999999, 1, NULL", 'response'],
    ["'active', 'f', 'o', 1, 1, 99999999999999, 1, x'00'", 'response'],
    ["'done', 'f', 'o', 1, 1, 99999999999999, 1, 'text'", 'response'],
    ["'active', 'f', 5, 1, 1, 99999999999999, 1, NULL", 'owner'],
    ["'active', 'f', 'o', 'one', 1, 99999999999999, 1, NULL", 'fence'],
  ])('is refused, not guessed at: (%s)', async (values, column) => {
    const store = open()
    await store.acquire(ask('first'))
    const other = await openOther()
    // Without the constraints, as another program might have made the table.
    other.exec(`DROP TABLE holdfast_keys; CREATE TABLE holdfast_keys
      (scope, key, state, fingerprint, owner, fence, lease_until_ms, expires_ms, window_end_ms, response);
      INSERT INTO holdfast_keys VALUES ('s', 'k', ${values})`)
    await expect(store.acquire(ask('k'))).rejects.toThrow(
      `sqliteStore: column ${column} of holdfast_keys holds what Holdfast never wrote`,
    )
  })

  test('are tables of a later version: they are left alone', async () => {
    await open().acquire(ask('k'))
    const other = await openOther()
    other.exec('UPDATE holdfast_schema SET version = 2')
    await expect(open().acquire(ask('k'))).rejects.toThrow(
      'sqliteStore: the tables in this database have version 2, this package knows 1',
    )
  })

  test('is a file that holds something else', async () => {
    await writeFile(path, 'no database, but long enough to be looked at'.repeat(100))
    await expect(open().acquire(ask('k'))).rejects.toThrow(/not a database/)
  })
})

describe('options', () => {
  test.each([
    [{}, 'sqliteStore should be given either `path` or `database`, got an object with no keys'],
    [{ path: 'a', database: {} }, 'sqliteStore should be given either `path` or `database`'],
    [{ path: 5 }, 'sqliteStore: path should be a text, got 5'],
    [
      { database: { query: 'a' } },
      'sqliteStore: database should be an open database, with exec and prepare, got an object with query',
    ],
    [
      { path: 'a', synchronous: 'off' },
      'sqliteStore: synchronous should be one of "full", "normal", got "off"',
    ],
    [{ path: 'a', busyTimeoutMs: -1 }, 'sqliteStore: busyTimeoutMs should be a number >= 0, got -1'],
    [{ file: 'a' }, 'sqliteStore has no option "file"'],
  ])('%o are refused', (options, message) => {
    expect(() => sqliteStore(options as SqliteStoreOptions)).toThrow(message)
  })

  test('undefined is not given', async () => {
    const nothing: object = { database: undefined, synchronous: undefined, busyTimeoutMs: undefined }
    const store = sqliteStore({ path: ':memory:', ...nothing })
    onTestFinished(async () => store.close?.())
    expect((await store.acquire(ask('k'))).type).toBe('acquired')
  })
})
