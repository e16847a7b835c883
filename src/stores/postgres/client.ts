import { invalidOption } from '../../primitives/validate.ts'
import type { Database } from './database.ts'
import { PgDatabase, type PgPool } from './pg-database.ts'
import type { PostgresJsSql } from './postgres-js-client.ts'
import { PostgresJsDatabase } from './postgres-js-database.ts'

/** A `Pool` of pg, or the `sql` function of postgres.js. */
export type PostgresPool = PgPool | PostgresJsSql

const METHODS = { pg: ['query', 'connect'], postgres: ['unsafe', 'begin'] } as const

/** @throws {HoldfastError} ERR_INVALID_OPTION, saying which interface is missing */
export function databaseOf(pool: PostgresPool, schema: string, prepare: boolean): Database {
  if (hasAll(pool, METHODS.postgres)) return new PostgresJsDatabase(pool as PostgresJsSql, schema, prepare)
  if (hasAll(pool, METHODS.pg)) return new PgDatabase(pool as PgPool, schema, prepare)
  const expected =
    'a Pool of pg (with query and connect) or the sql function of postgres (with unsafe and begin)'
  throw invalidOption('postgresStore: pool', expected, pool)
}

function hasAll(pool: unknown, names: readonly string[]): boolean {
  const usable = (typeof pool === 'object' && pool !== null) || typeof pool === 'function'
  return usable && names.every((name) => typeof Reflect.get(pool, name) === 'function')
}
