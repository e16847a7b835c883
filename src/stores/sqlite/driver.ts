import { importLibrary } from './import-library.ts'

/** What SQLite stores and gives back. */
export type SqliteValue = null | number | bigint | string | Uint8Array

/** The part of a prepared statement that `node:sqlite`, `better-sqlite3` and `libsql` have in common. */
export interface SqliteStatement {
  run(...values: SqliteValue[]): unknown
  get(...values: SqliteValue[]): unknown
  all(...values: SqliteValue[]): unknown[]
}

/** The part of an open database that `node:sqlite`, `better-sqlite3` and `libsql` have in common. */
export interface SqliteDatabase {
  exec(sql: string): unknown
  prepare(sql: string): SqliteStatement
  close(): unknown
}

type OpenDatabase = new (path: string) => SqliteDatabase

interface Driver {
  readonly module: string
  /** Under which name the module exports its class. */
  readonly exported: string
}

/** In the order of preference: what the runtime brings along, then what installs without a compiler. */
const DRIVERS: readonly Driver[] = [
  { module: 'node:sqlite', exported: 'DatabaseSync' },
  { module: 'libsql', exported: 'default' },
  { module: 'better-sqlite3', exported: 'default' },
]

/** Opens a database with whichever SQLite there is. @throws when there is none, with what to install. */
export async function openDatabase(path: string): Promise<SqliteDatabase> {
  for (const { module, exported } of DRIVERS) {
    const library = await importLibrary(module)
    const Database = library?.[exported]
    if (isConstructor(Database)) return new Database(path)
  }
  throw new Error('sqliteStore found no SQLite: use Node 22.13 or later, or run `npm install libsql`')
}

function isConstructor(value: unknown): value is OpenDatabase {
  return typeof value === 'function'
}

/** Whether somebody else holds the lock. */
export const isBusy = (error: unknown): boolean => hasCode(error, 5, 'SQLITE_BUSY')

/** Whether there was no room left for what was to be written. */
export const isFull = (error: unknown): boolean => hasCode(error, 13, 'SQLITE_FULL')

/** Drivers tell in two ways; the low byte of an extended code is the code. */
function hasCode(error: unknown, code: number, name: string): boolean {
  if (typeof error !== 'object' || error === null) return false
  if ('errcode' in error && typeof error.errcode === 'number') return (error.errcode & 0xff) === code
  return 'code' in error && typeof error.code === 'string' && error.code.startsWith(name)
}

/** Drivers name it differently; `undefined` where one doesn't tell. */
export function inTransaction(database: SqliteDatabase): boolean | undefined {
  if ('inTransaction' in database && typeof database.inTransaction === 'boolean')
    return database.inTransaction
  if ('isTransaction' in database && typeof database.isTransaction === 'boolean')
    return database.isTransaction
  return undefined
}

/** After some errors SQLite has rolled back by itself, and says so when it is told to. */
export function rollBack(database: SqliteDatabase): void {
  try {
    if (inTransaction(database) !== false) database.exec('ROLLBACK')
  } catch {
    // The error that led here is the one to be seen.
  }
}
