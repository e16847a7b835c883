/**
 * Keys in a SQLite file: for one machine, with one process or several, and for handlers that keep their own data in the
 * same database.
 *
 * @module
 */
import { systemClock, type Clock } from '../../primitives/clock.ts'
import type { IdempotencyStore } from '../../idempotency/store.ts'
import { checkKeys, checkMethods, checkNumber, checkOneOf, invalidOption } from '../../primitives/validate.ts'
import { Connection } from './connection.ts'
import { openDatabase, rollBack, type SqliteDatabase } from './driver.ts'
import { migrate } from './schema.ts'
import { SqliteStore } from './sqlite-store.ts'

export type { SqliteDatabase, SqliteStatement, SqliteValue } from './driver.ts'

/** What `sqliteStore()` does unless told otherwise. Durations are milliseconds. */
export const SQLITE_STORE_DEFAULTS = {
  synchronous: 'full',
  busyTimeoutMs: 1000,
} as const

interface CommonOptions {
  /** How long an operation waits for another process that holds the lock, in ms. Default 1000. */
  busyTimeoutMs?: number | undefined
  /** Default: the platform's time. Records use its wall clock, which processes share. */
  clock?: Clock | undefined
}

export interface SqliteFileOptions extends CommonOptions {
  /** The file; it is created where there is none. `':memory:'` for a database that ends with the process. */
  path: string
  database?: undefined
  /** `'full'` survives a power cut; `'normal'` is faster and survives a crash of the process. Default `'full'`. */
  synchronous?: 'full' | 'normal' | undefined
}

export interface SqliteConnectionOptions extends CommonOptions {
  /**
   * An open connection of `node:sqlite`, `better-sqlite3` or `libsql`. Its settings stay as they are: WAL mode and a
   * busy timeout of 0 are the application's to set. `close()` leaves it open.
   */
  database: SqliteDatabase
  path?: undefined
  synchronous?: undefined
}

export type SqliteStoreOptions = SqliteFileOptions | SqliteConnectionOptions

/**
 * A store in SQLite, opened on first use with `node:sqlite`, `libsql` or `better-sqlite3`, whichever is there.
 * `transaction(fn)` hands out this very connection.
 *
 * @throws {HoldfastError} `ERR_INVALID_OPTION`
 * @example
 * const protect = idempotency({ store: sqliteStore({ path: 'orders.db' }), transactional: true })
 */
export function sqliteStore(options: SqliteStoreOptions): IdempotencyStore {
  checkKeys('sqliteStore', options, ['path', 'database', 'synchronous', 'busyTimeoutMs', 'clock'])
  const {
    database,
    synchronous = SQLITE_STORE_DEFAULTS.synchronous,
    busyTimeoutMs = SQLITE_STORE_DEFAULTS.busyTimeoutMs,
  } = options
  checkNumber('sqliteStore: busyTimeoutMs', busyTimeoutMs)
  checkOneOf('sqliteStore: synchronous', synchronous, ['full', 'normal'])
  const clock = options.clock ?? systemClock
  const open = opener(options, synchronous)
  const connection = new Connection({ clock, busyTimeoutMs, open, owned: database === undefined })
  return new SqliteStore(connection, clock)
}

async function openFile(path: string, synchronous: 'full' | 'normal'): Promise<SqliteDatabase> {
  const database = await openDatabase(path)
  try {
    database.exec('PRAGMA busy_timeout = 0')
    database.exec('PRAGMA journal_mode = WAL')
    database.exec(`PRAGMA synchronous = ${synchronous}`)
    return adopt(database)
  } catch (error) {
    // The caller tries again where the file was merely locked, on a new connection.
    database.close()
    throw error
  }
}

function adopt(database: SqliteDatabase): SqliteDatabase {
  database.exec('BEGIN IMMEDIATE')
  try {
    migrate(database)
    database.exec('COMMIT')
  } catch (error) {
    rollBack(database)
    throw error
  }
  return database
}

function opener(
  options: SqliteStoreOptions,
  synchronous: 'full' | 'normal',
): () => SqliteDatabase | Promise<SqliteDatabase> {
  const { path, database } = options
  if ((path === undefined) === (database === undefined))
    throw invalidOption('sqliteStore', 'given either `path` or `database`', options)
  if (database !== undefined) {
    checkMethods('sqliteStore: database', 'an open database', database, ['exec', 'prepare'])
    return () => adopt(database)
  }
  if (typeof path !== 'string') throw invalidOption('sqliteStore: path', 'a text', path)
  return () => openFile(path, synchronous)
}
