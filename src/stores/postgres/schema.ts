import { FUNCTIONS } from './functions.ts'

/** Of tables and functions together: they change together. */
export const SCHEMA_VERSION = 2

/** Room in a page lets the update that completes a record stay in it, without new index entries. */
const TABLES = `
  CREATE TABLE S.holdfast_schema (version integer NOT NULL);
  INSERT INTO S.holdfast_schema (version) VALUES (${SCHEMA_VERSION});
  CREATE TABLE S.holdfast_keys (
    scope text COLLATE "C" NOT NULL,
    key text COLLATE "C" NOT NULL,
    state text NOT NULL CHECK (state IN ('active', 'done', 'released')),
    fingerprint text NOT NULL,
    owner text NOT NULL,
    fence bigint NOT NULL CHECK (fence >= 1),
    lease_until timestamptz NOT NULL,
    window_end timestamptz NOT NULL,
    expires_at timestamptz NOT NULL,
    response bytea,
    PRIMARY KEY (scope, key),
    CHECK ((state = 'done') = (response IS NOT NULL))
  ) WITH (fillfactor = 70);
  CREATE INDEX holdfast_keys_expiry ON S.holdfast_keys (expires_at);
`

/** Since version 2: the keys of a scope are counted in it, without a look at the table where it was vacuumed. */
const SCOPE_INDEX = `
  CREATE INDEX IF NOT EXISTS holdfast_keys_scope_expiry ON S.holdfast_keys (scope, expires_at);
`

/** One at a time in the whole database: the lock's number is the store's own. */
const LOCK = 'SELECT pg_advisory_xact_lock(7521962890172731)'

/**
 * What creates the tables and functions in a schema, brings those of version 1 up to this one, or makes sure that they
 * are the ones this version knows. May run again, and in several processes at once; where there is nothing to do it
 * takes no lock on a table.
 */
export function migrationSql(schema: string): string {
  const quoted = quoteName(schema)
  const tag = tagFor(quoted, '$f$')
  const written = (...parts: readonly string[]): string =>
    parts
      .join('\n')
      .replaceAll('$f$', () => tag)
      .replaceAll(/\bS\./g, () => `${quoted}.`)
  const create = written(TABLES, SCOPE_INDEX, ...FUNCTIONS)
  const upgrade = written(SCOPE_INDEX, ...FUNCTIONS.map(replacing))
  const name = quoteText(schema)
  const table = (of: string): string => `to_regclass(${quoteText(`${quoted}.${of}`)})`
  const body = `
DECLARE
  v_version integer;
BEGIN
  IF to_regnamespace(${quoteText(quoted)}) IS NULL THEN
    CREATE SCHEMA ${quoted};
  END IF;
  IF ${table('holdfast_schema')} IS NOT NULL THEN
    SELECT max(version) INTO v_version FROM ${quoted}.holdfast_schema;
    IF v_version = ${SCHEMA_VERSION} THEN
      RETURN;
    END IF;
    IF v_version = 1 THEN
${upgrade}
      UPDATE ${quoted}.holdfast_schema SET version = ${SCHEMA_VERSION};
      RETURN;
    END IF;
    RAISE EXCEPTION 'postgresStore: the tables in schema % have version %, this package knows ${SCHEMA_VERSION}',
      ${name}, v_version;
  END IF;
  IF ${table('holdfast_keys')} IS NOT NULL THEN
    RAISE EXCEPTION 'postgresStore: schema % has a table holdfast_keys that is not of Holdfast', ${name};
  END IF;
${create}
END`
  return `${LOCK};\nDO ${dollarQuoted(body)};\n`
}

/** Processes of the version before call the functions all the same: they keep their names and parameters. */
const replacing = (create: string): string => create.replace('CREATE FUNCTION', 'CREATE OR REPLACE FUNCTION')

/** An identifier, whatever characters it has. */
export function quoteName(name: string): string {
  return `"${name.replaceAll('"', '""')}"`
}

/** A text, whether or not the server takes backslashes for something (`standard_conforming_strings`). */
function quoteText(text: string): string {
  const quoted = `'${text.replaceAll("'", "''")}'`
  return text.includes('\\') ? `E${quoted.replaceAll('\\', String.raw`\\`)}` : quoted
}

function dollarQuoted(body: string): string {
  const tag = tagFor(body, '$holdfast$')
  return `${tag}${body}${tag}`
}

/** A dollar quote that does not end within `text`: a name may have dollars, too. */
function tagFor(text: string, wished: string): string {
  let tag = wished
  while (text.includes(tag)) tag = `$x${tag.slice(1)}`
  return tag
}
