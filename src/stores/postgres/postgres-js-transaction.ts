import {
  CommitError,
  firstRow,
  isEndedElsewhere,
  isRefused,
  literalStatementOf,
  type Call,
  type DatabaseTransaction,
  type Row,
} from './database.ts'
import { guarded, isBroken, type Loss } from './postgres-js-guard.ts'
import type { PostgresJsQuery, PostgresJsSql, PostgresJsTransaction } from './postgres-js-client.ts'

/**
 * Texts, which need nothing that was prepared: postgres.js sends a statement that the server has forgotten once more, at
 * the end of the line, where its transaction is over.
 */
type Send = (sql: PostgresJsTransaction, call: Call, ...more: readonly string[]) => PostgresJsQuery

const senderTo =
  (schema: string): Send =>
  (sql, call, ...more) =>
    sql.unsafe([literalStatementOf(schema, call), ...more].join('; ')).values()

/** What makes postgres.js roll back. */
const ROLLBACK = new Error('rolled back')

interface Opened {
  readonly client: PostgresJsTransaction
  readonly first: Row
}

/**
 * `sql.begin(fn)` ends a transaction with `fn`; here `fn` waits until it is told how. Where the connection breaks, `fn`
 * is left alone: postgres.js would send its ROLLBACK to whatever the connection has become by then.
 *
 * @param schema - quoted
 */
export async function beginPostgresJs(
  sql: PostgresJsSql,
  first: Call,
  schema: string,
): Promise<DatabaseTransaction> {
  const send = senderTo(schema)
  const end = deferred<void>()
  const opened = deferred<Opened>()
  const lost = deferred<unknown>()
  const loss: Loss = { error: undefined }
  const begin = async (client: PostgresJsTransaction): Promise<void> => {
    opened.resolve({ client, first: firstRow(await send(client, first)) })
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
  return new OpenTransaction(await opened.promise, send, { end, ended, loss, lost: lost.promise })
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
  readonly #send: Send
  readonly #end: Deferred<void>
  readonly #ended: Promise<unknown>
  readonly #loss: Loss

  constructor({ client, first }: Opened, send: Send, { end, ended, loss, lost }: Endings) {
    this.client = guarded(client, loss)
    this.lost = lost
    this.first = first
    this.#sql = client
    this.#send = send
    this.#end = end
    this.#ended = ended
    this.#loss = loss
  }

  async commit(last: Call): Promise<void> {
    if (this.#loss.error !== undefined) throw new CommitError('rolled-back', this.#loss.error)
    const call = this.#send(this.#sql, last, 'COMMIT AND CHAIN').execute()
    // The COMMIT of postgres.js follows at once, and ends an empty transaction, or undoes one whose call has failed. What it
    // tells is not to be relied on: one that the server has forgotten fails, and sent once more it "ends" what has failed.
    this.#end.resolve()
    const called = await this.#settled(call)
    if (called.status === 'fulfilled') return
    const { reason } = called
    // Of one that was ended by somebody else nothing more is heard: its connection went back to the pool then.
    const isKnown = isRefused(reason) && !isEndedElsewhere(reason)
    if (isKnown) await this.#ended.catch(() => {})
    throw new CommitError(isKnown ? 'rolled-back' : 'unknown', reason)
  }

  async rollback(last: Call): Promise<void> {
    if (this.#loss.error !== undefined) throw this.#loss.error
    const called = await this.#settled(this.#send(this.#sql, last))
    if (called.status === 'rejected') {
      const { reason } = called
      if (isEndedElsewhere(reason) || !isRefused(reason)) throw reason
    }
    this.#end.reject(ROLLBACK)
    await this.#ended.catch(() => {})
  }

  /** What postgres.js keeps back until a query of the handler's was answered it forgets where the connection breaks. */
  async #settled(call: PromiseLike<unknown>): Promise<PromiseSettledResult<unknown>> {
    const broken = this.#ended.then(() => new Promise<never>(() => {}))
    const [settled] = await Promise.allSettled([Promise.race([call, broken])])
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
