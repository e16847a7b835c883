/** A query of postgres.js: it is sent when it is awaited or executed. */
export interface PostgresJsQuery extends PromiseLike<unknown> {
  execute(): PromiseLike<unknown>
}

/** What this store needs of a transaction of postgres.js. */
export interface PostgresJsTransaction {
  unsafe(
    text: string,
    values?: (string | number | null)[],
    options?: { prepare?: boolean },
  ): { values(): PostgresJsQuery }
}

/** What this store needs of the `sql` function of postgres.js. */
export interface PostgresJsSql extends PostgresJsTransaction {
  begin(work: (sql: PostgresJsTransaction) => Promise<unknown>): Promise<unknown>
}
