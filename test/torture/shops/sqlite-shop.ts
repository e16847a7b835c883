import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { openDatabase, type SqliteDatabase } from '../../../src/stores/sqlite/driver.ts'
import type { KeptRecord, Shop } from './shop.ts'
import type { Order } from './till.ts'

export async function sqliteShop(): Promise<Shop> {
  const folder = await mkdtemp(join(tmpdir(), 'holdfast-torture-'))
  const file = join(folder, 'shop.db')
  const database = await openDatabase(file)
  database.exec(`PRAGMA journal_mode = WAL; PRAGMA busy_timeout = 5000;
    CREATE TABLE orders (id INTEGER PRIMARY KEY, operation INTEGER NOT NULL, mark TEXT NOT NULL)`)
  const { version } = database.prepare('SELECT sqlite_version() AS version').get() as { version: string }
  return {
    transactional: true,
    product: `SQLite ${version}`,
    address: undefined,
    config: () => ({ database: file, namespace: '' }),
    // Whatever a process had open, its death has ended.
    quiet: async () => {},
    orders: async () => database.prepare('SELECT operation, mark FROM orders').all() as Order[],
    records: async () => recordsIn(database),
    async close() {
      database.close()
      await rm(folder, { recursive: true, force: true })
    },
  }
}

function recordsIn(database: SqliteDatabase): KeptRecord[] {
  const rows = database.prepare('SELECT key, state, response FROM holdfast_keys').all()
  return (rows as (Omit<KeptRecord, 'response'> & { response: Uint8Array | ArrayBuffer | null })[]).map(
    // Drivers differ in how they give bytes.
    ({ key, state, response }) => ({
      key,
      state,
      response: response === null ? undefined : new Uint8Array(response),
    }),
  )
}
