import { randomUUID } from 'node:crypto'
import pg from 'pg'
import { postgresStore } from '../../../src/stores/postgres/index.ts'
import { postgresUrl } from '../../support/postgres.ts'
import { throughPort, until, type KeptRecord, type Shop } from './shop.ts'
import type { Order } from './till.ts'

export async function postgresShop(): Promise<Shop> {
  const url = await postgresUrl()
  const namespace = `torture_${randomUUID().slice(0, 8)}`
  const pool = new pg.Pool({ connectionString: url, max: 4 })
  pool.on('error', () => {})
  await postgresStore({ pool, schema: namespace }).migrate()
  await pool.query(`CREATE TABLE "${namespace}".orders (
    id bigserial PRIMARY KEY, operation integer NOT NULL, mark text NOT NULL)`)
  const { rows } = await pool.query<{ server_version: string }>('SHOW server_version')
  const { hostname, port } = new URL(url)
  return {
    transactional: true,
    product: `Postgres ${rows[0]?.server_version.split(' ')[0]}`,
    address: { host: hostname, port: port === '' ? 5432 : Number(port) },
    config: (linkPort) => ({ database: throughPort(url, linkPort), namespace }),
    quiet: () => until(async () => (await sessionsOf(pool, namespace)) === 0, 'sessions end'),
    orders: async () =>
      (await pool.query<Order & pg.QueryResultRow>(`SELECT operation, mark FROM "${namespace}".orders`)).rows,
    async records() {
      const sql = `SELECT key, state, response FROM "${namespace}".holdfast_keys`
      const found = await pool.query<{ key: string; state: KeptRecord['state']; response: Buffer | null }>(
        sql,
      )
      return found.rows.map(({ key, state, response }) => ({ key, state, response: response ?? undefined }))
    },
    async close() {
      await pool.query(`DROP SCHEMA "${namespace}" CASCADE`)
      await pool.end()
    },
  }
}

async function sessionsOf(pool: pg.Pool, name: string): Promise<number> {
  const sql = 'SELECT count(*)::int AS sessions FROM pg_stat_activity WHERE application_name = $1'
  return (await pool.query<{ sessions: number }>(sql, [name])).rows[0]?.sessions ?? 0
}
