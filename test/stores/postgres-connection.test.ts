/** What goes over the connections of Postgres, and what becomes of a transaction where one breaks. */
import { once } from 'node:events'
import { connect as connectSocket, createServer, type AddressInfo, type Socket } from 'node:net'
import pg from 'pg'
import postgres from 'postgres'
import { afterAll, describe, expect, onTestFinished, test } from 'vitest'
import type { StoreTransaction } from '../../src/idempotency/store.ts'
import { databaseOf } from '../../src/stores/postgres/client.ts'
import { postgresStore } from '../../src/stores/postgres/index.ts'
import { DatabaseStore } from '../../src/stores/postgres/postgres-store.ts'
import { quoteName } from '../../src/stores/postgres/schema.ts'
import { testServersAreThere } from '../support/left-out.ts'
import {
  administrate,
  connectPg,
  connectPostgresJs,
  connectTo,
  postgresUrl,
  run,
  temporarySchema,
  terminate,
} from '../support/postgres.ts'
import { urlOf } from '../support/servers.ts'
import { ask, backend, bench, clients, opened, releaseShared, effects, until } from './postgres-bench.ts'

const url = await urlOf(postgresUrl)
testServersAreThere()
afterAll(releaseShared)

describe.skipIf(url === undefined)('the round trips', () => {
  /** What each operation sends through pg. */
  async function sentBy(work: (store: DatabaseStore) => Promise<unknown>): Promise<number> {
    const { pool, schema, store } = await bench(connectPg)
    await store.acquire(ask({ key: 'connects' }))
    let sent = 0
    const counting = <T extends pg.Pool | pg.PoolClient>(target: T): T => {
      const query = target.query.bind(target) as (...args: unknown[]) => unknown
      return Object.assign(target, { query: (...args: unknown[]) => (sent++, query(...args)) })
    }
    const real = pool as pg.Pool
    // The pool's own query uses its clients, so that there are two layers to count at.
    const inTransaction = async (): Promise<pg.PoolClient> => counting(await real.connect())
    const counted = { query: real.query.bind(real), connect: inTransaction } as unknown as pg.Pool
    const database = databaseOf(counting(counted), quoteName(schema), true)
    await work(new DatabaseStore({ database, migration: '' }))
    return sent
  }

  test('of an execution are two, of a replay one', async () => {
    const request = ask()
    const execution = async (store: DatabaseStore): Promise<void> => {
      await store.acquire(request)
      await store.complete(request, Uint8Array.of(1))
    }
    expect(await sentBy(execution)).toBe(2)
    const replayed = await sentBy(async (store) => {
      await execution(store)
      expect((await store.acquire(ask())).type).toBe('done')
    })
    expect(replayed).toBe(3)
  })

  test('of an execution in a transaction are three: one more than BEGIN and COMMIT', async () => {
    const request = ask()
    const sent = await sentBy(async (store) => {
      await store.acquire(request)
      expect(await (await opened(store, request)).complete(Uint8Array.of(1))).toBe('completed')
    })
    expect(sent).toBe(3)
  })

  test('through postgres.js are two more statements in a transaction, the last two in one go', async () => {
    const schema = await temporarySchema()
    const statements: string[] = []
    const debug = (_: number, sql: string): void => void statements.push(sql)
    const sql = postgres(url ?? '', { max: 1, debug, fetch_types: false })
    onTestFinished(async () => {
      await sql.end({ timeout: 1 })
      await schema[Symbol.asyncDispose]()
    })
    const store = postgresStore({ pool: sql, schema: schema.name })
    await store.migrate()
    statements.length = 0
    const request = ask()
    await store.acquire(request)
    expect(await (await opened(store, request)).complete(Uint8Array.of(1))).toBe('completed')
    const words = statements.map((text) => /holdfast_(\w+)|\w+/.exec(text.replace(/.*\./, ''))?.[0])
    expect(words).toEqual(['holdfast_acquire', 'begin', 'holdfast_lock', 'holdfast_finish', 'commit'])
  })

  test('of a replay write nothing', async () => {
    const { pool, store } = await bench(connectPg, { max: 1 })
    const request = ask()
    await store.acquire(request)
    await store.complete(request, Uint8Array.of(1))
    const transaction = await (pool as pg.Pool).connect()
    await transaction.query('BEGIN')
    transaction.release()
    expect((await store.acquire(ask())).type).toBe('done')
    expect(await run(pool, 'SELECT pg_current_xact_id_if_assigned()')).toEqual([null])
    await run(pool, 'ROLLBACK')
  })
})

describe.skipIf(url === undefined)('where the connection breaks', () => {
  /** A way to the server that can be cut. */
  async function cuttable(): Promise<{ url: string; cut: (how: Cut) => void }> {
    const { hostname, port } = new URL(url ?? '')
    const sockets: Socket[] = []
    const server = createServer((near) => {
      const far = connectSocket(Number(port), hostname)
      sockets.push(near, far)
      for (const socket of [near, far]) socket.on('error', () => {})
      near.pipe(far).pipe(near)
    }).listen(0, '127.0.0.1')
    await once(server, 'listening')
    onTestFinished(() => void server.close())
    const way = new URL(url ?? '')
    way.port = String((server.address() as AddressInfo).port)
    return { url: way.href, cut: (how) => sockets.splice(0).forEach((socket) => socket[how]()) }
  }

  type Cut = 'end' | 'destroy' | 'resetAndDestroy'
  const ways: readonly { client: string; how: Cut }[] = (['pg', 'postgres.js'] as const).flatMap((client) =>
    (['end', 'destroy', 'resetAndDestroy'] as const).map((how) => ({ client, how })),
  )

  test.each(ways)(
    'nothing later in the transaction runs, and nothing crashes: $client, $how',
    async (way) => {
      const server = await cuttable()
      const schema = await temporarySchema()
      const connection = connectTo(server.url, way.client)
      onTestFinished(async () => {
        await connection.end()
        await schema[Symbol.asyncDispose]()
      })
      const store = postgresStore({ pool: connection.pool, schema: schema.name })
      await store.migrate()
      const request = ask()
      await store.acquire(request)
      const { client, complete, rollback } = bound(await opened(store, request))
      const pid = await backend(client)
      const asleep = run(client, 'SELECT pg_sleep(60)')
      const table = `${quoteName(schema.name)}.late`
      // A handler that goes on at once, as after a failure it thinks it can live with.
      const goingOn = asleep.catch(() => run(client, `CREATE TABLE ${table} (x int)`))
      await until(pid, "wait_event = 'PgSleep'")
      server.cut(way.how)
      await expect(goingOn).rejects.toThrow(/connection/i)
      await expect(run(client, `CREATE TABLE ${table} (x int)`)).rejects.toThrow(/connection/i)
      await expect(complete(Uint8Array.of(1))).rejects.toThrow(/connection|ECONNRESET/i)
      await expect(rollback()).resolves.toBeUndefined()
      // The server would notice when it has slept.
      await terminate(pid)
      expect(await administrate(`SELECT to_regclass('${table}')`)).toEqual([null])
      expect(await administrate(`SELECT state FROM ${quoteName(schema.name)}.holdfast_keys`)).toEqual([
        'active',
      ])
    },
  )

  test.each(ways)('nothing crashes as the transaction begins, either: $client, $how', async (way) => {
    const server = await cuttable()
    const subject = await bench(connectPg)
    const connection = connectTo(server.url, way.client)
    onTestFinished(connection.end)
    const store = postgresStore({ pool: connection.pool, schema: subject.schema })
    const request = ask()
    await store.acquire(request)
    // Keeps it waiting for its row.
    const other = await opened(subject.store, request)
    const beginning = store.begin(request).catch(String)
    const waiting = `SELECT pid FROM pg_stat_activity
      WHERE wait_event_type = 'Lock' AND query LIKE '%${subject.schema}%holdfast_lock%'`
    await expect.poll(() => administrate(waiting)).toHaveLength(1)
    server.cut(way.how)
    expect(await beginning).toMatch(/connection|ECONNRESET/i)
    // What it would still send would be sent by then.
    await once(connectSocket(Number(new URL(server.url).port), '127.0.0.1').end(), 'close')
    await other.rollback()
    expect((await store.acquire(ask())).type).toBe('busy')
  })

  test('nor where its last word comes along with the news that it is ready', async () => {
    const fields = ['SFATAL', 'VFATAL', 'C57P01', 'Mterminating connection', '', ''].join('\0')
    const farewell = Buffer.from(`E    ${fields}`)
    farewell.writeInt32BE(farewell.length - 1, 1)
    const { hostname, port } = new URL(url ?? '')
    const server = createServer((near) => {
      const far = connectSocket(Number(port), hostname)
      near.pipe(far)
      far.on('data', (bytes) => {
        const isReady = bytes.subarray(-6).equals(Buffer.from('Z\0\0\0\u0005I'))
        if (isReady) near.end(Buffer.concat([bytes, farewell]))
        else near.write(bytes)
      })
    }).listen(0, '127.0.0.1')
    await once(server, 'listening')
    onTestFinished(() => void server.close())
    const way = new URL(url ?? '')
    way.port = String((server.address() as AddressInfo).port)
    const connection = connectTo(way.href, 'pg')
    onTestFinished(connection.end)
    await expect(postgresStore({ pool: connection.pool }).begin(ask())).rejects.toThrow(/connection/i)
  })

  test.each(['complete', 'rollback'] as const)(
    'what waits for a query of the handler is told so: %s of postgres.js',
    async (end) => {
      const server = await cuttable()
      const subject = await bench(connectPg)
      const connection = connectTo(server.url, 'postgres.js')
      onTestFinished(connection.end)
      const store = postgresStore({ pool: connection.pool, schema: subject.schema })
      const request = ask()
      await store.acquire(request)
      const { client, ...transaction } = bound(await opened(store, request))
      const pid = await backend(client)
      // One with values holds up what comes after it.
      const asleep = Promise.resolve((client as postgres.TransactionSql)`SELECT pg_sleep(${60})`).catch(
        String,
      )
      await until(pid, "wait_event = 'PgSleep'")
      const ending = transaction[end](Uint8Array.of(1)).catch(String)
      server.cut('destroy')
      expect(await asleep).toMatch(/connection|ECONNRESET/i)
      expect(String(await ending)).toMatch(end === 'complete' ? /connection|ECONNRESET/i : 'undefined')
      await terminate(pid)
    },
  )

  test('nothing later in a savepoint runs, either', async () => {
    const server = await cuttable()
    const { schema } = await bench(connectPg)
    const connection = connectTo(server.url, 'postgres.js')
    onTestFinished(connection.end)
    const store = postgresStore({ pool: connection.pool, schema })
    const { client, rollback } = bound(await opened(store, undefined))
    const pid = await backend(client)
    const failed = (client as postgres.TransactionSql).savepoint(async (inner) => {
      await inner`SELECT pg_sleep(60)`.catch(() => undefined)
      return inner`SELECT 1`
    })
    await until(pid, "wait_event = 'PgSleep'")
    server.cut('end')
    await expect(failed).rejects.toThrow(/connection/i)
    await expect(rollback()).resolves.toBeUndefined()
    await terminate(pid)
  })

  test.each(['pg', 'postgres.js'])('while the commit is on its way, nobody knows: %s', async (client) => {
    const server = await cuttable()
    const subject = await bench(connectPg)
    const { table } = await effects(subject)
    const connection = connectTo(server.url, client)
    onTestFinished(connection.end)
    const store = postgresStore({ pool: connection.pool, schema: subject.schema })
    const request = ask({ leaseMs: 3_000_000 })
    await store.acquire(request)
    const transaction = await opened(store, request)
    const pid = await backend(transaction.client)
    // A commit that takes its time: whether its deferred constraint holds depends on another transaction.
    const other = await opened(subject.store, undefined)
    await run(other.client, `INSERT INTO ${table} VALUES ('one')`)
    await run(transaction.client, `INSERT INTO ${table} VALUES ('one')`)
    const completing = transaction.complete(Uint8Array.of(1)).catch((error: unknown) => error)
    await until(pid, "wait_event_type = 'Lock'")
    server.cut('destroy')
    expect(String(await completing)).toMatch(/connection|ECONNRESET/i)
    await expect(transaction.rollback()).rejects.toThrow('nobody knows whether the commit succeeded')
    await other.rollback()
    await expect.poll(() => subject.store.read(request)).toEqual(Uint8Array.of(1))
  })
})

function bound(transaction: StoreTransaction): {
  client: unknown
  complete: (response: Uint8Array) => Promise<string>
  rollback: () => Promise<void>
} {
  return {
    client: transaction.client,
    complete: (response) => transaction.complete(response),
    rollback: () => transaction.rollback(),
  }
}

describe.skipIf(url === undefined)('a client', () => {
  test('may rename columns, and read bytes in its own way', async () => {
    const schema = await temporarySchema()
    const transform = { ...postgres.pascal, undefined: null }
    const sql = postgres(url ?? '', { transform, connection: { bytea_output: 'escape' }, onnotice: () => {} })
    onTestFinished(async () => {
      await sql.end({ timeout: 1 })
      await schema[Symbol.asyncDispose]()
    })
    const store = postgresStore({ pool: sql, schema: schema.name, preparedStatements: false })
    await store.migrate()
    const request = ask()
    expect(await store.acquire(request)).toEqual({ type: 'acquired', fence: 1 })
    await (await opened(store, request)).complete(Uint8Array.of(0, 92, 255))
    expect(await store.acquire(ask())).toEqual({ type: 'done', response: Uint8Array.of(0, 92, 255) })
  })

  test('works inside savepoints, of postgres.js too', async () => {
    const subject = await bench(connectPostgresJs)
    const { table, list } = await effects(subject)
    const transaction = await opened(subject.store, undefined)
    const client = transaction.client as postgres.TransactionSql
    await client.savepoint((inner) => inner.unsafe(`INSERT INTO ${table} VALUES ('kept')`))
    const failing = client.savepoint(async (inner) => {
      await inner.unsafe(`INSERT INTO ${table} VALUES ('undone')`)
      throw new Error('no')
    })
    await expect(failing).rejects.toThrow('no')
    await client`INSERT INTO ${client.unsafe(table)} VALUES (${'tagged'})`
    await transaction.commit()
    expect(await list()).toEqual(['kept', 'tagged'])
  })

  test('without a free connection rejects as it was told to, and has lost none', async () => {
    const { schema } = await bench(connectPg)
    const pool = new pg.Pool({ connectionString: url, max: 1, connectionTimeoutMillis: 1000 })
    onTestFinished(() => pool.end())
    const store = postgresStore({ pool, schema })
    const transaction = await opened(store, undefined)
    await expect(store.acquire(ask())).rejects.toThrow('timeout exceeded when trying to connect')
    await expect(store.begin(undefined)).rejects.toThrow('timeout exceeded when trying to connect')
    await transaction.rollback()
    expect((await store.acquire(ask())).type).toBe('acquired')
    expect([pool.totalCount, pool.idleCount, pool.waitingCount]).toEqual([1, 1, 0])
  })

  test.each(clients)(
    'is free again once the server has ended the transaction, for who waits for one inside it: $client',
    async ({ connect }) => {
      const { schema } = await bench(connectPg)
      const { pool, end } = await connect({}, 1)
      onTestFinished(end)
      const store = postgresStore({ pool, schema })
      const request = ask({ leaseMs: 200 })
      await store.acquire(request)
      const transaction = await opened(store, request)
      expect(await run(pool, 'SELECT 1')).toEqual([1])
      expect(String(await transaction.lost)).toMatch(/idle-in-transaction timeout|CONNECTION_CLOSED/)
      await expect(run(transaction.client, 'SELECT 1')).rejects.toThrow(/connection/i)
      await transaction.rollback()
      expect((await store.acquire(ask({ key: 'another' }))).type).toBe('acquired')
    },
  )

  test('that gave up on a query is not used again: its connection is closed', async () => {
    const { schema } = await bench(connectPg)
    const pool = new pg.Pool({ connectionString: url, query_timeout: 200 })
    onTestFinished(() => pool.end())
    const { client, rollback } = bound(await opened(postgresStore({ pool, schema }), undefined))
    const pid = await backend(client)
    await expect(run(client, 'SELECT pg_sleep(60)')).rejects.toThrow('Query read timeout')
    await rollback()
    expect([pool.totalCount, pool.idleCount]).toEqual([0, 0])
    await terminate(pid)
  })

  test.each(['pg', 'postgres.js'])('whose server is down rejects, and says why: %s', async (client) => {
    const connection = connectTo('postgres://postgres@127.0.0.1:1/test', client)
    onTestFinished(connection.end)
    const store = postgresStore({ pool: connection.pool })
    await expect(store.acquire(ask())).rejects.toThrow(/ECONNREFUSED/)
    await expect(store.begin(ask())).rejects.toThrow(/ECONNREFUSED/)
    await expect(store.migrate()).rejects.toThrow(/ECONNREFUSED/)
  })
})
