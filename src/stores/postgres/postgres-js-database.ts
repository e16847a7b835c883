import {
  firstRow,
  readCommittedScriptOf,
  statementOf,
  type Call,
  type Database,
  type DatabaseTransaction,
  type Row,
} from './database.ts'
import type { PostgresJsSql } from './postgres-js-client.ts'
import { beginPostgresJs } from './postgres-js-transaction.ts'

export class PostgresJsDatabase implements Database {
  readonly #sql: PostgresJsSql
  readonly #schema: string
  readonly #prepare: boolean

  /** `schema` is quoted. */
  constructor(sql: PostgresJsSql, schema: string, prepare: boolean) {
    this.#sql = sql
    this.#schema = schema
    this.#prepare = prepare
  }

  async call(call: Call): Promise<Row> {
    const statement = statementOf(this.#schema, call)
    const options = { prepare: this.#prepare }
    return firstRow(await this.#sql.unsafe(statement, [...call.values], options).values())
  }

  async callReadCommitted(call: Call): Promise<Row> {
    const results = await this.#sql.unsafe(readCommittedScriptOf(this.#schema, call)).values()
    return firstRow(Array.isArray(results) ? results.at(-1) : results)
  }

  async script(sql: string): Promise<void> {
    await this.#sql.unsafe(sql).values()
  }

  begin(first: Call): Promise<DatabaseTransaction> {
    return beginPostgresJs(this.#sql, first, this.#schema)
  }
}
