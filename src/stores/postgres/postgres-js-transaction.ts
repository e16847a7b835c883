import {
  CommitError,
  isEndedElsewhere,
  isRefused,
  type Call,
  type DatabaseTransaction,
  type Row,
} from './database.ts'
import { guarded, isBroken, type Loss } from './postgres-js-guard.ts'
import {
  firstRow,
  type PostgresJsQuery,
  type PostgresJsSql,
  type PostgresJsTransaction,
} from './postgres-js-client.ts'

type MakeQuery = (sql: PostgresJsTransaction, call: Call) => PostgresJsQuery

/** What makes postgres.js roll back. */
const ROLLBACK = new Error('rolled back')

interface Opened {
  readonly client: PostgresJsTransaction
  readonly first: Row
}

/**
 * `sql.begin(fn)` ends a transaction with `fn`; here `fn` waits until it is told how. Where the connection breaks, `fn`
 * is left alone: postgres.js would send its ROLLBACK to whatever the connection has become by then.
 */
export async function beginPostgresJs(
  sql: PostgresJsSql,
  first: Call,
  query: MakeQuery,
): Promise<DatabaseTransaction> {
  const end = deferred<void>()
  const opened = deferred<Opened>()
  const lost = deferred<unknown>()
  const loss: Loss = { error: undefined }
  const begin = async (client: PostgresJsTransaction): Promise<void> => {
    opened.resolve({ client, first: firstRow(await query(client, first)) })
    return end.promise
  }
  const ended = sql.begin((client) =>
    begin(client).catch((error: unknown) => {
      if (!isBroken(error)) throw error
      return new Promise(() => {})
    }),
  )
  ended.catch((error: unknown) => {
    loss.error = error
    opened.reject(error)
    // It is told of its connection's end even where no query is under way.
    lost.resolve(error)
  })
  return new OpenTransaction(await opened.promise, query, { end, ended, loss, lost: lost.promise })
}

/** How a transaction is ended from here, and how it ended. */
interface Endings {
  readonly end: Deferred<void>
  readonly ended: Promise<unknown>
  readonly loss: Loss
  readonly lost: Promise<unknown>
}

class OpenTransaction implements DatabaseTransaction {
  readonly client: unknown
  readonly lost: Promise<unknown>
  readonly first: Row
  readonly #sql: PostgresJsTransaction
  readonly #query: MakeQuery
  readonly #end: Deferred<void>
  readonly #ended: Promise<unknown>
  readonly #loss: Loss

  constructor({ client, first }: Opened, query: MakeQuery, { end, ended, loss, lost }: Endings) {
    this.client = guarded(client, loss)
    this.lost = lost
    this.first = first
    this.#sql = client
    this.#query = query
    this.#end = end
    this.#ended = ended
    this.#loss = loss
  }

  async commit(last: Call): Promise<void> {
    if (this.#loss.error !== undefined) throw new CommitError('rolled-back', this.#loss.error)
    const call = this.#query(this.#sql, last).execute()
    // Its COMMIT follows at once. If the call fails, that COMMIT is a rollback.
    this.#end.resolve()
    const called = await this.#settled(call)
    if (called.status === 'rejected' && isEndedElsewhere(called.reason)) {
      // The connection went back to the pool then, and nothing more is heard from this transaction.
      throw new CommitError('unknown', called.reason)
    }
    const [ended] = await Promise.allSettled([this.#ended])
    const failed = ended.status === 'rejected' ? ended : called
    if (failed.status === 'rejected') {
      throw new CommitError(isRefused(failed.reason) ? 'rolled-back' : 'unknown', failed.reason)
    }
  }

  async rollback(last: Call): Promise<void> {
    if (this.#loss.error !== undefined) throw this.#loss.error
    const called = await this.#settled(this.#query(this.#sql, last))
    if (called.status === 'rejected') {
      const { reason } = called
      if (isEndedElsewhere(reason) || !isRefused(reason)) throw reason
    }
    this.#end.reject(ROLLBACK)
    await this.#ended.catch(() => {})
  }

  /** What postgres.js keeps back until a query of the handler's was answered it forgets where the connection breaks. */
  async #settled(call: PromiseLike<unknown>): Promise<PromiseSettledResult<unknown>> {
    const [settled] = await Promise.allSettled([Promise.race([call, this.#ended])])
    return settled
  }
}

interface Deferred<T> {
  readonly promise: Promise<T>
  resolve(value: T): void
  reject(reason: unknown): void
}

function deferred<T>(): Deferred<T> {
  let resolve: (value: T) => void = () => {}
  let reject: (reason: unknown) => void = () => {}
  const promise = new Promise<T>((onResolve, onReject) => {
    resolve = onResolve
    reject = onReject
  })
  return { promise, resolve: (value) => resolve(value), reject: (reason) => reject(reason) }
}
