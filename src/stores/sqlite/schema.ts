import type { SqliteDatabase } from './driver.ts'

/**
 * The tables carry their own version: `user_version` belongs to the application, whose tables may be in the same file.
 * `holdfast_scopes` counts the keys of a scope, so that nobody has to count rows while acquiring; which of them expire first
 * is found by an index, for who has as many as he may.
 */
export const SCHEMA_VERSION = 1

const TABLES = `
  CREATE TABLE IF NOT EXISTS holdfast_schema (version INTEGER NOT NULL) STRICT;
  CREATE TABLE IF NOT EXISTS holdfast_keys (
    scope TEXT NOT NULL,
    key TEXT NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('active', 'done', 'released')),
    fingerprint TEXT NOT NULL,
    owner TEXT NOT NULL,
    fence INTEGER NOT NULL,
    lease_until_ms INTEGER NOT NULL,
    window_end_ms INTEGER NOT NULL,
    expires_ms INTEGER NOT NULL,
    response BLOB,
    PRIMARY KEY (scope, key),
    CHECK ((state = 'done') = (response IS NOT NULL))
  ) STRICT;
  CREATE INDEX IF NOT EXISTS holdfast_keys_expiry ON holdfast_keys (expires_ms);
  CREATE INDEX IF NOT EXISTS holdfast_keys_scope_expiry ON holdfast_keys (scope, expires_ms);
  CREATE TABLE IF NOT EXISTS holdfast_scopes (scope TEXT PRIMARY KEY, keys INTEGER NOT NULL) STRICT;
  CREATE TRIGGER IF NOT EXISTS holdfast_keys_added AFTER INSERT ON holdfast_keys BEGIN
    INSERT INTO holdfast_scopes (scope, keys) VALUES (new.scope, 1)
      ON CONFLICT (scope) DO UPDATE SET keys = keys + 1;
  END;
  CREATE TRIGGER IF NOT EXISTS holdfast_keys_removed AFTER DELETE ON holdfast_keys BEGIN
    UPDATE holdfast_scopes SET keys = keys - 1 WHERE scope = old.scope;
    DELETE FROM holdfast_scopes WHERE scope = old.scope AND keys <= 0;
  END;
`

/** Creates the tables, or makes sure that they are the ones this version knows. Runs inside a write transaction. */
export function migrate(database: SqliteDatabase): void {
  database.exec(TABLES)
  const found = database.prepare('SELECT max(version) AS version FROM holdfast_schema').get()
  const version =
    typeof found === 'object' && found !== null && 'version' in found ? found.version : undefined
  if (version === null) database.exec(`INSERT INTO holdfast_schema (version) VALUES (${SCHEMA_VERSION})`)
  else if (version !== SCHEMA_VERSION) {
    throw new Error(
      `sqliteStore: the tables in this database have version ${JSON.stringify(version)}, this package knows ${SCHEMA_VERSION}`,
    )
  }
}
