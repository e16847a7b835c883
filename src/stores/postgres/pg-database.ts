import {
  CommitError,
  firstRow,
  isRefused,
  literalStatementOf,
  readCommittedScriptOf,
  statementOf,
  type Call,
  type Database,
  type DatabaseTransaction,
  type Row,
} from './database.ts'
import { lent } from './pg-client-guard.ts'

export interface PgQuery {
  text: string
  name?: string
  values?: unknown[]
  rowMode: 'array'
}

/** What this store needs of a client of pg's pool. */
export interface PgClient {
  query(query: PgQuery): Promise<unknown>
  on(event: 'error', listener: (error: Error) => void): unknown
  removeListener(event: 'error', listener: (error: Error) => void): unknown
  release(destroy?: boolean): void
}

/** What this store needs of pg's `Pool`. */
export interface PgPool {
  query(query: PgQuery): Promise<unknown>
  connect(): Promise<PgClient>
}

/** In characters: the server cuts off more, with a warning. */
const MAX_STATEMENT_NAME = 63

export class PgDatabase implements Database {
  readonly #pool: PgPool
  readonly #schema: string
  readonly #prepare: boolean

  /** `schema` is quoted. */
  constructor(pool: PgPool, schema: string, prepare: boolean) {
    this.#pool = pool
    this.#schema = schema
    this.#prepare = prepare
  }

  async call(call: Call): Promise<Row> {
    return rowOf(await this.#pool.query(this.#query(call)))
  }

  async callReadCommitted(call: Call): Promise<Row> {
    const text = readCommittedScriptOf(this.#schema, call)
    const results = await this.#pool.query({ text, rowMode: 'array' })
    return rowOf(Array.isArray(results) ? results.at(-1) : results)
  }

  async script(sql: string): Promise<void> {
    await this.#pool.query({ text: sql, rowMode: 'array' })
  }

  async begin(first: Call): Promise<DatabaseTransaction> {
    const connection = await taken(this.#pool)
    try {
      const [, result] = await connection.send('BEGIN', literalStatementOf(this.#schema, first))
      return new PgTransaction(connection, this.#schema, rowOf(result))
    } catch (error) {
      connection.destroy()
      throw error
    }
  }

  #query(call: Call): PgQuery {
    const text = statementOf(this.#schema, call)
    const name = `holdfast ${call.name} ${this.#schema}`
    const named = this.#prepare && name.length <= MAX_STATEMENT_NAME
    return { ...(named ? { name } : {}), text, values: [...call.values], rowMode: 'array' }
  }
}

/** `connect` with a callback, as pg's pool has it; a pool of another make may know promises only. */
interface Lender {
  connect(callback: (error: unknown, client: PgClient | undefined) => void): PromiseLike<PgClient> | undefined
}

/**
 * Takes a client by a callback. With a promise there is a moment before the awaiting code runs in which nobody listens
 * for the client's `error`: a connection that broke then would end the process.
 */
function taken(pool: Lender): Promise<Connection> {
  return new Promise((resolve, reject) => {
    const take = (client: PgClient): void => resolve(new Connection(client))
    const promised = pool.connect((error, client) => (client === undefined ? reject(error) : take(client)))
    promised?.then(take, reject)
  })
}

class PgTransaction implements DatabaseTransaction {
  readonly first: Row
  readonly #connection: Connection
  readonly #schema: string

  constructor(connection: Connection, schema: string, first: Row) {
    this.#connection = connection
    this.#schema = schema
    this.first = first
  }

  get client(): unknown {
    return this.#connection.handed
  }

  get lost(): Promise<unknown> {
    return this.#connection.lost
  }

  async commit(last: Call): Promise<void> {
    const connection = this.#connection
    if (connection.loss !== undefined) {
      connection.destroy()
      throw new CommitError('rolled-back', connection.loss)
    }
    try {
      await connection.send(literalStatementOf(this.#schema, last), 'COMMIT')
    } catch (error) {
      await connection.clean()
      throw new CommitError(isRefused(error) ? 'rolled-back' : 'unknown', error)
    }
    connection.release()
  }

  async rollback(last: Call): Promise<void> {
    try {
      await this.#connection.send(literalStatementOf(this.#schema, last), 'ROLLBACK')
    } catch (error) {
      await this.#connection.clean()
      throw error
    }
    this.#connection.release()
  }
}

/**
 * A client of the pool while it is in use; it is given back exactly once. One that breaks is given back at once, since
 * a handler may be waiting for its place in the pool.
 */
class Connection {
  /** For handlers. */
  readonly handed: PgClient
  readonly #client: PgClient
  readonly #giveBack: PgClient['release']
  #isOver = false
  #isGivenBack = false
  /** Why it broke, if it has. Without a listener the event would end the process. */
  loss: Error | undefined
  readonly lost: Promise<Error>
  #lose: (error: Error) => void = () => {}
  readonly #onError = (error: Error): void => {
    this.loss ??= error
    this.#lose(error)
    this.#leave(true)
  }

  constructor(client: PgClient) {
    this.#client = client
    // Kept, since a handler may replace `release` on the client.
    this.#giveBack = client.release.bind(client)
    this.handed = lent(client, () => this.#isOver)
    this.lost = new Promise((resolve) => {
      this.#lose = resolve
    })
    client.on('error', this.#onError)
  }

  /** Several statements in one message. Resolves to their results. */
  async send(...statements: readonly string[]): Promise<readonly unknown[]> {
    const results = await this.#client.query({ text: statements.join('; '), rowMode: 'array' })
    return Array.isArray(results) ? results : [results]
  }

  release(): void {
    this.#isOver = true
    this.#leave(false)
  }

  destroy(): void {
    this.#isOver = true
    this.#leave(true)
  }

  /** Rolls back what may still be open, and gives the connection back; closes it where that fails. */
  async clean(): Promise<void> {
    try {
      await this.send('ROLLBACK')
    } catch {
      this.destroy()
      return
    }
    this.release()
  }

  #leave(destroy: boolean): void {
    if (this.#isGivenBack) return
    this.#isGivenBack = true
    // A broken client may emit `error` again: the listener stays.
    if (this.loss === undefined) this.#client.removeListener('error', this.#onError)
    this.#giveBack(destroy)
  }
}

const rowOf = (result: unknown): Row => firstRow(Reflect.get(Object(result), 'rows'))
