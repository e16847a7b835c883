import pg from 'pg'
import { postgresStore } from '../../../src/stores/postgres/index.ts'
import type { ServerConfig } from '../server/messages.ts'
import { TIMES } from '../settings.ts'
import type { Order, Till } from './till.ts'

export function postgresTill({ database, namespace }: ServerConfig): Till {
  const pool = new pg.Pool({
    connectionString: database,
    application_name: namespace,
    // Servers die here, the database does not: waiting for its disk would only make the disk the slowest of all.
    options: '-c synchronous_commit=off',
    max: 12,
    // Without it, what nobody waits for any more is begun all the same, before what somebody does wait for.
    connectionTimeoutMillis: TIMES.storeTimeoutMs,
    // A partition ends no connection: what is asked of it would wait, and keep its place in the pool.
    query_timeout: 2 * TIMES.storeTimeoutMs,
  })
  // A connection that breaks while nobody uses it.
  pool.on('error', () => {})
  const insert = `INSERT INTO "${namespace}".orders (operation, mark) VALUES ($1, $2)`
  const seize = `UPDATE "${namespace}".holdfast_keys
    SET owner = $1, state = 'active', response = NULL WHERE key = $2`
  return {
    store: postgresStore({ pool, schema: namespace }),
    transactional: true,
    enter: ({ operation, mark }: Order, client) => (client as pg.PoolClient).query(insert, [operation, mark]),
    seize: async ({ owner, key }) => void (await pool.query(seize, [owner, key])),
  }
}
