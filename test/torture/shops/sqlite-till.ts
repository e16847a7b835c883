import { openDatabase, type SqliteDatabase } from '../../../src/stores/sqlite/driver.ts'
import { sqliteStore } from '../../../src/stores/sqlite/index.ts'
import type { ServerConfig } from '../server/messages.ts'
import type { Order, Till } from './till.ts'

export async function sqliteTill({ database, broken }: ServerConfig): Promise<Till> {
  const other = broken ? await openDatabase(database) : undefined
  other?.exec('PRAGMA busy_timeout = 2000')
  return {
    store: sqliteStore({ path: database, busyTimeoutMs: 400 }),
    transactional: true,
    async enter({ operation, mark }: Order, client) {
      const statement = (client as SqliteDatabase).prepare(
        'INSERT INTO orders (operation, mark) VALUES (?, ?)',
      )
      statement.run(operation, mark)
    },
    async seize({ owner, key }) {
      const sql = "UPDATE holdfast_keys SET owner = ?, state = 'active', response = NULL WHERE key = ?"
      other?.prepare(sql).run(owner, key)
    },
  }
}
