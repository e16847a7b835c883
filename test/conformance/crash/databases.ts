import { randomUUID } from 'node:crypto'
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { postgresStore } from '../../../src/stores/postgres/index.ts'
import { openDatabase } from '../../../src/stores/sqlite/driver.ts'
import { connectPg, run, temporarySchema } from '../../support/postgres.ts'
import { temporaryFolder } from '../../support/temporary-folder.ts'
import type { Case, StoreName } from './cases.ts'

/** How many rows an order has left in the application's two tables, and how many recorded responses. */
export interface Rows {
  readonly orders: number
  readonly ledger: number
  readonly done: number
}

/** The databases of all servers, seen from outside. */
export interface Databases extends AsyncDisposable {
  /** What a server is told of them. */
  readonly config: object
  /** How often an order has had its effect outside of any database. */
  readonly effects: (order: Case) => Promise<number>
  readonly rows: (order: Case) => Promise<Rows>
}

/** Resolves to the first column of the first row. */
type Ask = (sql: string) => Promise<unknown>

interface Tables extends AsyncDisposable {
  readonly config: object
  readonly ask: (order: Case) => Ask
}

const TABLES = 'CREATE TABLE orders (id TEXT, maker TEXT); CREATE TABLE ledger (id TEXT, maker TEXT)'

export async function openDatabases(
  urls: { readonly redis: string | undefined; readonly postgres: string | undefined },
  cases: readonly Case[],
): Promise<Databases> {
  const folder = await temporaryFolder()
  const effects = join(folder.path, 'effects')
  await writeFile(effects, '')
  const tables = {
    sqlite: await sqliteFiles(folder.path, cases),
    redis: undefined,
    postgres: urls.postgres === undefined ? undefined : await postgresSchema(urls.postgres),
  } satisfies Record<StoreName, Tables | undefined>
  const prefix = `holdfast-crash:${randomUUID()}:`
  return {
    config: { effects, redis: urls.redis, prefix, ...tables.sqlite.config, ...tables.postgres?.config },
    async effects({ order }) {
      return (await readFile(effects, 'utf8')).split('\n').filter((line) => line === order).length
    },
    async rows(each) {
      const ask = tables[each.store]?.ask(each) ?? (async () => undefined)
      const count = async (table: string, where: string): Promise<number> =>
        Number(await ask(`SELECT count(*) FROM ${table} WHERE ${where}`))
      return {
        orders: await count('orders', `id = '${each.order}'`),
        ledger: await count('ledger', `id = '${each.order}'`),
        done: await count('holdfast_keys', `key = '${each.order}' AND state = 'done'`),
      }
    },
    async [Symbol.asyncDispose]() {
      for (const each of Object.values(tables)) await each?.[Symbol.asyncDispose]()
      await folder[Symbol.asyncDispose]()
    },
  }
}

/** A file for each order: a transaction that stands still keeps all others out of its own. */
async function sqliteFiles(folder: string, cases: readonly Case[]): Promise<Tables> {
  const orders = cases.filter(({ store }) => store === 'sqlite').map(({ order }) => order)
  const open = async (order: string) => [order, await openDatabase(join(folder, `${order}.db`))] as const
  const files = new Map(await Promise.all(orders.map(open)))
  for (const file of files.values()) file.exec(`PRAGMA journal_mode = WAL; ${TABLES}`)
  return {
    config: { folder },
    ask:
      ({ order }) =>
      async (sql) =>
        Object.values(Object(files.get(order)?.prepare(sql).get()))[0],
    async [Symbol.asyncDispose]() {
      for (const file of files.values()) file.close()
    },
  }
}

async function postgresSchema(url: string): Promise<Tables> {
  const schema = await temporarySchema()
  const { pool, end } = await connectPg({ search_path: `"${schema.name}"` })
  await postgresStore({ pool, schema: schema.name }).migrate()
  await run(pool, TABLES)
  return {
    config: { postgres: url, schema: schema.name },
    ask: () => async (sql) => (await run(pool, sql))[0],
    async [Symbol.asyncDispose]() {
      await end()
      await schema[Symbol.asyncDispose]()
    },
  }
}
