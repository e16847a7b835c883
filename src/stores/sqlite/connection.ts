import type { Clock } from '../../primitives/clock.ts'
import {
  inTransaction,
  isBusy,
  isFull,
  rollBack,
  type SqliteDatabase,
  type SqliteStatement,
} from './driver.ts'
import { Mutex } from './mutex.ts'

export interface ConnectionOptions {
  readonly clock: Clock
  /** How long to wait for another process that holds the lock. */
  readonly busyTimeoutMs: number
  /** Opens the database and makes it ready; called once, on first use. */
  readonly open: () => SqliteDatabase | Promise<SqliteDatabase>
  /** Whether `close()` closes the database: it doesn't belong to a store that was handed an open one. */
  readonly owned: boolean
}

/** Between two looks at a lock that another process holds: soon at first, then less often. */
const FIRST_WAIT_MS = 2
const LONGEST_WAIT_MS = 50

/** Runs a prepared statement. */
export type Query = (sql: string) => SqliteStatement

/** Tries again while another process holds the lock. */
type Patiently = (attempt: () => void) => Promise<void>

/**
 * One connection, used by everything in this process in turn: a transaction may span awaits, and whatever else ran on
 * the connection meanwhile would be part of it.
 *
 * SQLite's own waiting for a lock blocks the event loop, so the connection is told not to wait, and the wait is here.
 */
export class Connection {
  readonly #options: ConnectionOptions
  readonly #mutex = new Mutex()
  #database: SqliteDatabase | undefined
  #closed = false
  /** Between BEGIN and the end of a transaction of ours. */
  #inTransaction = false
  #statements = new Map<string, SqliteStatement>()

  constructor(options: ConnectionOptions) {
    this.#options = options
  }

  /**
   * Looks something up. It needs no turn: a duplicate is answered while new keys wait for another process's lock. Only what
   * is in a transaction of ours, and may yet be undone, is not to be seen.
   */
  async read<T>(work: (query: Query) => T): Promise<T> {
    const deadlineMs = this.#deadlineMs
    if (this.#database !== undefined && !this.#inTransaction) {
      try {
        return this.#look(this.#database, work)
      } catch (error) {
        if (!isBusy(error)) throw error
      }
    }
    return this.#mutex.run(async () => {
      const database = await this.#open()
      return this.#patiently(() => this.#look(database, work), deadlineMs)
    })
  }

  /**
   * What changes something, in one transaction. A single statement, too: one that finds the lock taken stays unfinished in
   * libsql, and no transaction on the connection can be committed until it is run again. `BEGIN` does not.
   */
  write<T>(work: (query: Query) => T): Promise<T> {
    const deadlineMs = this.#deadlineMs
    return this.#mutex.run(async () => {
      const database = await this.#open()
      await this.#begin(database, deadlineMs)
      try {
        const result = work(this.#queryOn(database))
        await this.#patiently(() => database.exec('COMMIT'), deadlineMs)
        return result
      } catch (error) {
        rollBack(database)
        throw error
      } finally {
        this.#inTransaction = false
      }
    })
  }

  /** A write transaction that stays open, and keeps everybody else waiting, until it is ended. */
  async begin(): Promise<OpenTransaction> {
    const deadlineMs = this.#deadlineMs
    const unlock = await this.#mutex.lock()
    try {
      const database = await this.#open()
      await this.#begin(database, deadlineMs)
      const patiently: Patiently = (attempt) => this.#patiently(attempt)
      return new OpenTransaction(database, this.#queryOn(database), patiently, () => {
        this.#inTransaction = false
        unlock()
      })
    } catch (error) {
      unlock()
      throw error
    }
  }

  close(): Promise<void> {
    return this.#mutex.run(() => {
      this.#closed = true
      this.#statements.clear()
      if (this.#options.owned) this.#database?.close()
      this.#database = undefined
    })
  }

  async #open(): Promise<SqliteDatabase> {
    if (this.#closed) throw new Error('sqliteStore: the store was closed')
    this.#database ??= await this.#patiently(this.#options.open)
    return this.#database
  }

  #begin(database: SqliteDatabase, deadlineMs: number): Promise<void> {
    return this.#patiently(() => {
      refuseTransaction(database)
      database.exec('BEGIN IMMEDIATE')
      this.#inTransaction = true
    }, deadlineMs)
  }

  #look<T>(database: SqliteDatabase, work: (query: Query) => T): T {
    refuseTransaction(database)
    return work(this.#queryOn(database))
  }

  #queryOn(database: SqliteDatabase): Query {
    return (sql) => {
      let statement = this.#statements.get(sql)
      if (statement === undefined) this.#statements.set(sql, (statement = database.prepare(sql)))
      return statement
    }
  }

  /**
   * Of what comes now. To wait for its turn behind others that wait for a lock is to wait for it, too: with a time for each
   * a queue would grow as long as the lock is held, of work that nobody waits for any more when it is done.
   */
  get #deadlineMs(): number {
    return this.#options.clock.now() + this.#options.busyTimeoutMs
  }

  /** Tries once, and again while another process holds the lock. */
  async #patiently<T>(attempt: () => T | Promise<T>, deadlineMs: number = this.#deadlineMs): Promise<T> {
    const { clock } = this.#options
    for (let waitMs = FIRST_WAIT_MS; ; waitMs = Math.min(waitMs * 2, LONGEST_WAIT_MS)) {
      try {
        return await attempt()
      } catch (error) {
        if (!isBusy(error) || clock.now() + waitMs > deadlineMs) throw error
      }
      await new Promise<void>((resolve) => {
        clock.schedule(resolve, waitMs, { keepAlive: true })
      })
    }
  }
}

/** What is done inside somebody else's transaction is theirs to undo, and must not be reported as done. */
function refuseTransaction(database: SqliteDatabase): void {
  if (inTransaction(database) === true) {
    throw new Error("sqliteStore: the connection is in a transaction that is not the store's")
  }
}

export class OpenTransaction {
  readonly database: SqliteDatabase
  readonly query: Query
  readonly #patiently: Patiently
  readonly #unlock: () => void
  #ended = false

  constructor(database: SqliteDatabase, query: Query, patiently: Patiently, unlock: () => void) {
    this.database = database
    this.query = query
    this.#patiently = patiently
    this.#unlock = unlock
  }

  /** @throws when it has ended, or somebody else ended it; SQLite itself does that after some errors. */
  #check(): void {
    if (this.#ended) throw new Error('sqliteStore: the transaction has ended')
    if (inTransaction(this.database) === false) {
      throw new Error('sqliteStore: the transaction was ended inside transaction(fn)')
    }
  }

  /** Does something of the store's own. Where there is no room for it, SQLite has undone the whole transaction with it. */
  do<T>(work: () => T): T {
    // Who has waited long enough rolls back between two attempts; the next transaction on the connection is not ours.
    this.#check()
    try {
      return work()
    } catch (error) {
      if (isFull(error) && inTransaction(this.database) === false) this.#end()
      throw error
    }
  }

  async commit(): Promise<void> {
    await this.#patiently(() => {
      this.do(() => this.database.exec('COMMIT'))
      this.#end()
    })
  }

  /** Harmless once the transaction has ended here. @throws when it was ended elsewhere: then nothing is known. */
  async rollback(): Promise<void> {
    if (this.#ended) return
    try {
      this.#check()
      this.database.exec('ROLLBACK')
    } finally {
      this.#end()
    }
  }

  #end(): void {
    this.#ended = true
    this.#unlock()
  }
}
