/** A Postgres for tests: the one that runs on this machine, else one of the tests' own, from installed binaries. */
import { execFile } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { existsSync, readdirSync } from 'node:fs'
import { chown, mkdtemp } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { delimiter, join } from 'node:path'
import { promisify } from 'node:util'
import pg from 'pg'
import postgres from 'postgres'
import type { PostgresPool } from '../../src/stores/postgres/index.ts'
import { freePort, startOwn } from './servers.ts'

export type PoolSettings = Readonly<Record<string, string>>

export interface PostgresConnection {
  readonly pool: PostgresPool
  readonly end: () => Promise<void>
}

const LOCAL = 'postgres://postgres@127.0.0.1:5432/test'
const MISSING =
  'these tests need Postgres: start one on 127.0.0.1:5432 (user postgres, trusted, database test), name one in POSTGRES_URL, or install it (Debian: apt-get install postgresql)'

let found: Promise<string> | undefined

/** Where Postgres is. */
export function postgresUrl(): Promise<string> {
  found ??= find().catch((cause: unknown) => {
    throw new Error(MISSING, { cause })
  })
  return found
}

async function find(): Promise<string> {
  const given = process.env['POSTGRES_URL']
  if (given !== undefined) return given
  return (await answers(LOCAL)) ? LOCAL : start()
}

async function answers(url: string): Promise<boolean> {
  const client = new pg.Client(url)
  try {
    await client.connect()
    return true
  } catch {
    return false
  } finally {
    await client.end()
  }
}

/** Where `initdb` and `postgres` are: in the path, or where Debian keeps them out of it, the latest first. */
function binaries(): string {
  const debian = '/usr/lib/postgresql'
  const versions = existsSync(debian) ? readdirSync(debian).sort((a, b) => Number(b) - Number(a)) : []
  const folders = [
    ...versions.map((version) => join(debian, version, 'bin')),
    ...(process.env['PATH'] ?? '').split(delimiter),
  ]
  const folder = folders.find((each) => ['initdb', 'postgres'].every((name) => existsSync(join(each, name))))
  if (folder === undefined) throw new Error('initdb and postgres are not installed')
  return folder
}

/** Postgres refuses to run as root. */
async function identity(): Promise<{ readonly uid?: number; readonly gid?: number }> {
  if (process.getuid?.() !== 0) return {}
  const id = async (flag: string): Promise<number> =>
    Number((await promisify(execFile)('id', [flag, 'postgres'])).stdout)
  return { uid: await id('-u'), gid: await id('-g') }
}

/** Starts one that ends with this process. */
async function start(): Promise<string> {
  const bin = binaries()
  const user = await identity()
  const data = await mkdtemp(join(tmpdir(), 'holdfast-postgres-'))
  if (user.uid !== undefined) await chown(data, user.uid, user.gid ?? user.uid)
  const setup = ['-D', data, '-U', 'postgres', '--auth=trust', '--encoding=UTF8', '--no-sync']
  await promisify(execFile)(join(bin, 'initdb'), setup, { ...user, cwd: data })
  const port = await freePort()
  const url = `postgres://postgres@127.0.0.1:${port}/postgres`
  await startOwn({
    command: [join(bin, 'postgres'), '-D', data, '-p', String(port), '-h', '127.0.0.1', '-k', data, '-F'],
    folder: data,
    signal: 'QUIT',
    identity: user,
    answers: () => answers(url),
  })
  return url
}

/** Nothing here has to outlive a power cut, and waiting for the disk is most of a test's time. */
const HASTY: PoolSettings = { synchronous_commit: 'off' }

/** Parameters of a session, as options of a connection. */
const sessionOptions = (settings: PoolSettings): string =>
  Object.entries({ ...HASTY, ...settings })
    .map(([name, value]) => `-c ${name}=${value.replaceAll(' ', String.raw`\ `)}`)
    .join(' ')

/** In a pool: enough to meet at one key, and few, since each costs the server a process. */
export const CONNECTIONS = 5

export async function connectPg(
  settings: PoolSettings = {},
  max: number = CONNECTIONS,
): Promise<PostgresConnection> {
  const pool = pgPool(await postgresUrl(), settings, max)
  return { pool, end: () => pool.end() }
}

export function pgPool(
  connectionString: string,
  settings: PoolSettings = {},
  max: number = CONNECTIONS,
): pg.Pool {
  const pool = new pg.Pool({ connectionString, options: sessionOptions(settings), max })
  pool.on('error', () => {})
  return pool
}

export async function connectPostgresJs(
  settings: PoolSettings = {},
  max: number = CONNECTIONS,
): Promise<PostgresConnection> {
  const sql = postgres(await postgresUrl(), {
    connection: { ...HASTY, ...settings },
    max,
    onnotice: () => {},
    // Its own query for types on a new connection is an unhandled rejection where that is ended meanwhile.
    fetch_types: false,
  })
  return { pool: sql, end: () => sql.end({ timeout: 0.1 }) }
}

/** A pool for a server, or a way to one, of the test's own. */
export function connectTo(url: string, client: string): PostgresConnection {
  if (client === 'pg') {
    const pool = pgPool(url)
    return { pool, end: () => pool.end() }
  }
  const sql = postgres(url, { max: 10, onnotice: () => {} })
  return { pool: sql, end: () => sql.end({ timeout: 1 }) }
}

/** A schema of the test's own. */
export async function temporarySchema(): Promise<{ readonly name: string } & AsyncDisposable> {
  const name = `holdfast test ${randomUUID()}`
  return {
    name,
    async [Symbol.asyncDispose]() {
      await administrate(`DROP SCHEMA IF EXISTS "${name}" CASCADE`)
    },
  }
}

/** A connection costs Postgres a process, which takes longer than most of what tests ask of it. */
let administrators: pg.Pool | undefined

/** Runs a statement, or several, on a connection that no store has. Resolves to the first column of the last. */
export async function administrate(sql: string): Promise<unknown[]> {
  administrators ??= new pg.Pool({
    connectionString: await postgresUrl(),
    options: sessionOptions({}),
    allowExitOnIdle: true,
  }).on('error', () => {})
  const client = await administrators.connect()
  try {
    return await run(client, sql)
  } finally {
    // What is left open would keep the work of others to itself.
    client.release(client.getTransactionStatus() !== 'I')
  }
}

/** Ends a connection from the server's side. Resolves when the process behind it is gone. */
export async function terminate(pid: unknown): Promise<void> {
  const ended = await administrate(`SELECT pg_terminate_backend(${String(pid)}, 5000)`)
  if (ended[0] !== true) throw new Error(`the connection of process ${String(pid)} did not end`)
}

/** Runs a statement, or several, with a client of either kind. Resolves to the first column of the last. */
export async function run(client: unknown, sql: string): Promise<unknown[]> {
  const either = client as { unsafe?: (sql: string) => postgres.PendingQuery<postgres.Row[]> } & pg.Pool
  if (either.unsafe !== undefined) return (await either.unsafe(sql).values()).map(([first]) => first)
  const results = [await either.query<unknown[]>({ text: sql, rowMode: 'array' })].flat()
  return (results.at(-1)?.rows ?? []).map(([first]) => first)
}

/** Opens all connections of a pool, so that what is asked at once arrives at once. */
export async function warm(
  { pool }: Pick<PostgresConnection, 'pool'>,
  connections: number = CONNECTIONS,
): Promise<void> {
  await Promise.all(Array.from({ length: connections }, () => run(pool, 'SELECT pg_sleep(0.1)')))
}
