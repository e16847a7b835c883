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

const SQLITE_BUSY = 5

/** Whether somebody else holds the lock. Drivers tell in two ways; the low byte of an extended code is the code. */
export function isBusy(error: unknown): boolean {
  if (typeof error !== 'object' || error === null) return false
  if ('errcode' in error && typeof error.errcode === 'number') return (error.errcode & 0xff) === SQLITE_BUSY
  return 'code' in error && typeof error.code === 'string' && error.code.startsWith('SQLITE_BUSY')
}
