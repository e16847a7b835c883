/**
 * Keys in Postgres: for many processes on many machines, and for handlers that keep their own data in the same database.
 *
 * @module
 */
import { checkKeys, checkOneOf, invalidOption } from '../../primitives/validate.ts'
import { databaseOf, type PostgresPool } from './client.ts'
import { DatabaseStore, type PostgresStore } from './postgres-store.ts'
import { migrationSql, quoteName } from './schema.ts'

export type { PostgresPool } from './client.ts'
export type { PgClient, PgPool, PgQuery } from './pg-database.ts'
export type { PostgresJsQuery, PostgresJsSql, PostgresJsTransaction } from './postgres-js-client.ts'
export type { PostgresStore } from './postgres-store.ts'

/** What `postgresStore()` does unless told otherwise. */
export const POSTGRES_STORE_DEFAULTS = { schema: 'public', preparedStatements: true } as const

export interface PostgresStoreOptions {
  /** A `Pool` of pg, or the `sql` function of postgres.js. It stays the application's: `close()` leaves it open. */
  pool: PostgresPool
  /** The schema of the store's tables and functions, whose names begin with `holdfast_`. Default `'public'`. */
  schema?: string | undefined
  /** Whether connections keep statements ready. `false` for a pooler that can't. Default `true`. */
  preparedStatements?: boolean | undefined
}

/**
 * A store in Postgres 13 or later. Leases run by the server's clock, and each operation is one round trip.
 * `transaction(fn)` hands out a `PoolClient` of pg, or a transaction's `sql` of postgres.js.
 *
 * The tables are made by `migrate()`, or by whatever runs {@link postgresMigration}; not by themselves.
 *
 * @throws {HoldfastError} `ERR_INVALID_OPTION`
 * @example
 * const store = postgresStore({ pool: new Pool() })
 * await store.migrate()
 * const protect = idempotency({ store, transactional: true })
 */
export function postgresStore(options: PostgresStoreOptions): PostgresStore {
  checkKeys('postgresStore', options, ['pool', 'schema', 'preparedStatements'])
  const {
    pool,
    schema = POSTGRES_STORE_DEFAULTS.schema,
    preparedStatements = POSTGRES_STORE_DEFAULTS.preparedStatements,
  } = options
  checkSchema('postgresStore: schema', schema)
  checkOneOf('postgresStore: preparedStatements', preparedStatements, [true, false])
  const database = databaseOf(pool, quoteName(schema), preparedStatements)
  return new DatabaseStore({ database, migration: migrationSql(schema) })
}

/**
 * What `migrate()` runs, for a tool that runs migrations in the application's stead; in one transaction, READ COMMITTED.
 *
 * @throws {HoldfastError} `ERR_INVALID_OPTION`
 */
export function postgresMigration(schema: string = POSTGRES_STORE_DEFAULTS.schema): string {
  checkSchema('postgresMigration: schema', schema)
  return migrationSql(schema)
}

/** Postgres cuts off what is longer than 63 bytes. */
function checkSchema(name: string, schema: unknown): void {
  const valid =
    typeof schema === 'string' &&
    schema !== '' &&
    !schema.includes('\0') &&
    new TextEncoder().encode(schema).length <= 63
  if (!valid) throw invalidOption(name, 'the name of a schema', schema)
}
