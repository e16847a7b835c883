import { redacted } from './redact.ts'

/** What the store needs of a client library: pg and postgres.js have an implementation each. */

export type Value = string | number | null

/** A call of one of the store's functions. All of its answers are texts, whatever a client makes of other types. */
export interface Call {
  /** The function, without its schema. */
  readonly name: string
  readonly values: readonly Value[]
}

/** One row, by position: clients may be told to rename columns. */
export type Row = readonly unknown[]

export interface Database {
  /** One statement, in a transaction of its own. */
  call(call: Call): Promise<Row>
  /** The same as READ COMMITTED, whatever the session's default is. It is planned anew each time. */
  callReadCommitted(call: Call): Promise<Row>
  /** Several statements without values, in one transaction. */
  script(sql: string): Promise<void>
  /** Takes a connection, begins a transaction on it, and makes the first call there. */
  begin(first: Call): Promise<DatabaseTransaction>
}

/** An open transaction on a connection of its own. However it ends, the connection goes back clean, or not at all. */
export interface DatabaseTransaction {
  /** What the handler works with. */
  readonly client: unknown
  /** Resolves, to the reason, when the connection has broken; it may do so when it is being ended, too. */
  readonly lost: Promise<unknown>
  /** The answer to the first call. */
  readonly first: Row
  /** Makes the last call and commits, in one round trip. @throws {CommitError} */
  commit(last: Call): Promise<void>
  /** Makes the last call, whatever comes of it, and rolls back. Rejects with what the call rejected with. */
  rollback(last: Call): Promise<void>
}

/** Why there was no commit, or, with `unknown`, why nobody can tell. */
export class CommitError extends Error {
  override readonly name = 'CommitError'
  readonly outcome: 'rolled-back' | 'unknown'

  constructor(outcome: 'rolled-back' | 'unknown', cause: unknown) {
    super(cause instanceof Error ? cause.message : String(cause), { cause: redacted(cause) })
    this.outcome = outcome
  }
}

/** The first row of an answer in array mode. @throws where there is none */
export function firstRow(rows: unknown): Row {
  const row: unknown = Array.isArray(rows) ? rows[0] : undefined
  if (!Array.isArray(row)) throw new Error('postgresStore: the client gave no rows')
  return row
}

/** The SQLSTATE of an error that the server sent; `undefined` for any other: a connection that broke. */
export function sqlState(error: unknown): string | undefined {
  if (typeof error !== 'object' || error === null || !('severity' in error) || !('code' in error))
    return undefined
  return typeof error.code === 'string' ? error.code : undefined
}

/** Whether the server has said that nothing was committed. One that is being shut down may have committed before. */
export function isRefused(error: unknown): boolean {
  const state = sqlState(error)
  return state !== undefined && !/^(08|57P|40003)/.test(state)
}

/** Whether a transaction was found not to be the one that the store began, see functions.ts. */
export function isEndedElsewhere(error: unknown): boolean {
  return sqlState(error) === 'HF001'
}

/** A call as a statement. */
export function statementOf(schema: string, { name, values }: Call): string {
  return `SELECT * FROM ${schema}.holdfast_${name}(${values.map((_, index) => `$${index + 1}`).join(', ')})`
}

/** The same with its values in it, for several statements in one message. */
export function literalStatementOf(schema: string, { name, values }: Call): string {
  return `SELECT * FROM ${schema}.holdfast_${name}(${values.map(literal).join(', ')})`
}

/** The same as READ COMMITTED: several statements in one message are one transaction, which the first one may set. */
export function readCommittedScriptOf(schema: string, call: Call): string {
  return `SET TRANSACTION ISOLATION LEVEL READ COMMITTED; ${literalStatementOf(schema, call)}`
}

function literal(value: Value): string {
  if (value === null) return 'NULL'
  if (typeof value === 'number') return `'${value}'`
  // `escaped` leaves none of them; this makes sure of it.
  if (/['\\\0]/.test(value)) throw new Error('postgresStore: a text can not be written as a literal')
  return `'${value}'`
}
