/** A store that is down, silent or started anew, through the clients that an application has, with a server in front. */
import { randomUUID } from 'node:crypto'
import { createServer } from 'node:http'
import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import { Redis } from 'ioredis'
import postgres from 'postgres'
import { createClient } from 'redis'
import { describe, expect, test, type TestContext } from 'vitest'
import { idempotency } from '../../src/idempotency/frameworks/node.ts'
import type { IdempotencyStore, ProblemCode } from '../../src/idempotency/index.ts'
import { postgresStore } from '../../src/stores/postgres/index.ts'
import { redisStore } from '../../src/stores/redis/index.ts'
import { expectNoUnhandledRejections } from '../client/support/unhandled.ts'
import { tick } from '../client/support/wait.ts'
import { deferred } from '../support/operations.ts'
import { Gate } from '../support/gate.ts'
import { testServersAreThere } from '../support/left-out.ts'
import { administrate, connectPg, pgPool, postgresUrl } from '../support/postgres.ts'
import { redisUrl } from '../support/redis-server.ts'
import { urlOf } from '../support/servers.ts'

expectNoUnhandledRejections()

const redis = await urlOf(redisUrl)
const database = await urlOf(postgresUrl)
testServersAreThere()

// Long enough for a new connection while other cases make theirs, since recovery is one.
const STORE_TIMEOUT_MS = 1000

interface Opened {
  readonly store: IdempotencyStore
  readonly close: () => Promise<unknown>
}

interface Kind {
  readonly name: string
  readonly url: string
  readonly open: (url: string) => Promise<Opened>
}

const prefix = (): string => `holdfast-outage:${randomUUID()}:`

async function openIoRedis(url: string): Promise<Opened> {
  const client = new Redis(url, { retryStrategy: () => 20 })
  client.on('error', () => {})
  return { store: redisStore({ client, prefix: prefix() }), close: async () => client.disconnect() }
}

async function openNodeRedis(url: string): Promise<Opened> {
  const client = createClient({ url, socket: { reconnectStrategy: () => 20 } })
  client.on('error', () => {})
  await client.connect()
  return { store: redisStore({ client, prefix: prefix() }), close: async () => client.destroy() }
}

/** The tables are made past the gate. */
async function migrated(): Promise<string> {
  const schema = `holdfast outage ${randomUUID()}`
  const { pool, end } = await connectPg()
  await postgresStore({ pool, schema }).migrate()
  await end()
  return schema
}

const drop = (schema: string): Promise<unknown> => administrate(`DROP SCHEMA "${schema}" CASCADE`)

async function openPg(url: string): Promise<Opened> {
  const schema = await migrated()
  const pool = pgPool(url)
  return {
    store: postgresStore({ pool, schema }),
    async close() {
      await pool.end()
      await drop(schema)
    },
  }
}

async function openPostgresJs(url: string): Promise<Opened> {
  const schema = await migrated()
  // Its own query for types on a new connection is an unhandled rejection where that is ended meanwhile.
  const sql = postgres(url, { onnotice: () => {}, backoff: () => 0.02, fetch_types: false })
  return {
    store: postgresStore({ pool: sql, schema }),
    async close() {
      await sql.end({ timeout: 1 })
      await drop(schema)
    },
  }
}

const kinds: readonly Kind[] = [
  ...(redis === undefined
    ? []
    : [
        { name: 'ioredis', url: redis, open: openIoRedis },
        { name: 'node-redis', url: redis, open: openNodeRedis },
      ]),
  ...(database === undefined
    ? []
    : [
        { name: 'pg', url: database, open: openPg },
        { name: 'postgres.js', url: database, open: openPostgresJs },
      ]),
]

/** An API with its store behind a gate. Its handler counts its runs, and does `during` in each. */
async function bench({ url, open }: Kind, { onTestFinished }: Pick<TestContext, 'onTestFinished'>) {
  const gate = await Gate.before(url)
  const { store, close } = await open(gate.through(url))
  const api = { runs: 0, during: async (): Promise<void> => {} }
  const protect = idempotency({ store, storeTimeoutMs: STORE_TIMEOUT_MS })
  const handler = protect(async (_, response) => {
    api.runs++
    await api.during()
    response.writeHead(201).end(`run ${api.runs}`)
  })
  const server = createServer((request, response) => void handler(request, response)).listen(0, '127.0.0.1')
  await once(server, 'listening')
  onTestFinished(async () => {
    gate.state = 'open'
    server.closeAllConnections()
    server.close()
    await close()
    await gate[Symbol.asyncDispose]()
  })
  const { port } = server.address() as AddressInfo
  const send = async (key: string): Promise<{ response: Response; text: string }> => {
    const headers = { 'idempotency-key': key }
    const response = await fetch(`http://127.0.0.1:${port}/orders`, { method: 'POST', headers })
    return { response, text: await response.text() }
  }
  /** Sends it again for as long as it is refused for one of these reasons: clients of stores take a moment to come back. */
  const sendWhile = async (key: string, ...codes: ProblemCode[]): ReturnType<typeof send> => {
    for (let tries = 0; tries < 200; tries++) {
      const answer = await send(key)
      if (!codes.some((code) => answer.text.includes(`"${code}"`))) return answer
      await tick(20)
    }
    throw new Error('the store did not come back')
  }
  return { gate, api, send, sendWhile }
}

function expectUnavailable({ response, text }: { response: Response; text: string }): void {
  expect(response.status).toBe(503)
  expect(response.headers.get('content-type')).toBe('application/problem+json')
  expect(response.headers.get('retry-after')).toMatch(/^\d+$/)
  expect(JSON.parse(text)).toMatchObject({ status: 503, code: 'store-unavailable' })
}

// Most of their time they wait.
describe.concurrent.each(kinds)('a store through $name', (kind) => {
  test.for(['shut', 'silent'] as const)(
    'that is %s: 503 and no run; when it is back the same key runs once',
    async (state, context) => {
      const { gate, api, send, sendWhile } = await bench(kind, context)
      expect((await send('before')).response.status).toBe(201)
      gate.state = state
      expectUnavailable(await send('k'))
      expectUnavailable(await send('k'))
      expect(api.runs).toBe(1)
      if (state === 'silent') gate.cut()
      gate.state = 'open'
      // What was sent meanwhile may have taken the key, which is then given back.
      const served = await sendWhile('k', 'store-unavailable', 'request-in-flight')
      expect(served.response.status).toBe(201)
      const replayed = await sendWhile('k', 'store-unavailable')
      expect(replayed.response.headers.get('idempotent-replayed')).toBe('true')
      expect(replayed.text).toBe(served.text)
      expect(api.runs).toBe(2)
    },
  )

  test.for(['shut', 'silent'] as const)(
    'that is %s when the handler has run: its response is sent as unsaved, and it never runs again by itself',
    async (state, context) => {
      const { gate, api, send, sendWhile } = await bench(kind, context)
      api.during = async () => void (gate.state = state)
      const { response, text } = await send('k')
      expect(response.status).toBe(201)
      expect(text).toBe('run 1')
      expect(response.headers.get('idempotency-status')).toBe('unsaved')
      if (state === 'silent') gate.cut()
      gate.state = 'open'
      const again = await sendWhile('k', 'store-unavailable')
      expect(api.runs).toBe(1)
      // With luck the recording has arrived; else nobody knows, until the lease is over, that nothing is under way.
      if (again.response.status === 201) expect(again.text).toBe('run 1')
      else expect(JSON.parse(again.text)).toMatchObject({ status: 409, code: 'request-in-flight' })
    },
  )

  test('that is started anew while the handler runs: the response is recorded all the same', async (context) => {
    const { gate, api, send, sendWhile } = await bench(kind, context)
    const started = deferred()
    const goOn = deferred()
    api.during = () => {
      started.resolve()
      return goOn.promise
    }
    const work = send('k')
    await started.promise
    gate.cut()
    goOn.resolve()
    const { response, text } = await work
    expect(response.status).toBe(201)
    expect(response.headers.has('idempotency-status')).toBe(false)
    const replayed = await sendWhile('k', 'store-unavailable')
    expect(replayed.response.headers.get('idempotent-replayed')).toBe('true')
    expect(replayed.text).toBe(text)
    expect(api.runs).toBe(1)
  })
})
