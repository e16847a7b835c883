/** A store that is down, silent or started anew, through the clients that an application has, with a server in front. */
import { randomUUID } from 'node:crypto'
import { createServer, type RequestListener } from 'node:http'
import type { AddressInfo } from 'node:net'
import { Redis } from 'ioredis'
import postgres from 'postgres'
import { createClient } from 'redis'
import { afterAll, beforeAll, describe, expect, test, type TestContext } from 'vitest'
import { idempotency } from '../../src/idempotency/frameworks/node.ts'
import type { IdempotencyStore } from '../../src/idempotency/index.ts'
import { postgresStore } from '../../src/stores/postgres/index.ts'
import { redisStore } from '../../src/stores/redis/index.ts'
import { expectNoUnhandledRejections } from '../client/support/unhandled.ts'
import { tick } from '../client/support/wait.ts'
import { listening } from '../support/listening.ts'
import { deferred } from '../support/operations.ts'
import { Gate } from '../support/gate.ts'
import { testServersAreThere } from '../support/left-out.ts'
import { administrate, connectPg, pgPool, postgresUrl } from '../support/postgres.ts'
import { cut } from '../support/redis.ts'
import { OwnRedis, redisProgram, redisUrl } from '../support/redis-server.ts'
import { urlOf } from '../support/servers.ts'

expectNoUnhandledRejections()

const redis = await urlOf(redisUrl)
const database = await urlOf(postgresUrl)
const program = await urlOf(redisProgram)
testServersAreThere()

/** How long a request waits for its store: where that has to answer, however busy the machine is, and where it can not. */
const TIMEOUTS_MS = { patient: 20_000, impatient: 500 } as const
type Patience = keyof typeof TIMEOUTS_MS

/** How a store fails: it is gone, or it says nothing. */
type Outage = 'shut' | 'silent'

/** A server, or what stands before one. */
interface Front extends AsyncDisposable {
  readonly url: string
  readonly fail: (outage: Outage) => unknown
  /** After an outage. */
  readonly recover: () => unknown
  /** Resets every connection, as a server does that is started anew, or starts it anew. */
  readonly restart: () => unknown
}

/** For a server that others use, too. */
async function gateBefore(url: string): Promise<Front> {
  const gate = await Gate.before(url)
  return {
    url: gate.through(url),
    fail: (outage) => void (gate.state = outage),
    recover() {
      // What it did not let back would come in the middle of something else.
      gate.cut()
      gate.state = 'open'
    },
    restart: () => gate.cut(),
    [Symbol.asyncDispose]: () => gate[Symbol.asyncDispose](),
  }
}

/** The server itself is killed and frozen. */
async function ownRedis(): Promise<Front> {
  const redis = await OwnRedis.startDurable()
  let outage: Outage | undefined
  return {
    url: redis.url,
    fail: (how) => redis.signal((outage = how) === 'shut' ? 'SIGKILL' : 'SIGSTOP'),
    async recover() {
      const over = outage
      outage = undefined
      if (over === 'shut') await redis.startAgain()
      if (over === 'silent') await redis.signal('SIGCONT')
    },
    async restart() {
      await redis.signal('SIGKILL')
      await redis.startAgain()
    },
    [Symbol.asyncDispose]: () => redis[Symbol.asyncDispose](),
  }
}

interface Opened {
  readonly store: IdempotencyStore
  readonly close: () => Promise<unknown>
}

interface Kind {
  readonly name: string
  readonly front: () => Promise<Front>
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
  return { store: redisStore({ client, prefix: prefix() }), close: async () => cut(client) }
}

/** For all cases, made past the gate. */
const schema = `holdfast outage ${randomUUID()}`

async function openPg(url: string): Promise<Opened> {
  const pool = pgPool(url)
  return { store: postgresStore({ pool, schema }), close: () => pool.end() }
}

async function openPostgresJs(url: string): Promise<Opened> {
  // Its own query for types on a new connection is an unhandled rejection where that is ended meanwhile.
  const sql = postgres(url, { onnotice: () => {}, backoff: () => 0.02, fetch_types: false })
  return { store: postgresStore({ pool: sql, schema }), close: () => sql.end({ timeout: 1 }) }
}

beforeAll(async () => {
  if (database === undefined) return
  const { pool, end } = await connectPg()
  await postgresStore({ pool, schema }).migrate()
  await end()
})
afterAll(async () => {
  if (database !== undefined) await administrate(`DROP SCHEMA "${schema}" CASCADE`)
})

const kindsOf = (url: string | undefined, ...kinds: readonly Omit<Kind, 'front'>[]): readonly Kind[] =>
  url === undefined ? [] : kinds.map((kind) => ({ ...kind, front: () => gateBefore(url) }))

const kinds = [
  ...kindsOf(redis, { name: 'ioredis', open: openIoRedis }, { name: 'node-redis', open: openNodeRedis }),
  ...kindsOf(database, { name: 'pg', open: openPg }, { name: 'postgres.js', open: openPostgresJs }),
  ...(program === undefined
    ? []
    : [
        { name: 'ioredis, to a server of its own', front: ownRedis, open: openIoRedis },
        { name: 'node-redis, to a server of its own', front: ownRedis, open: openNodeRedis },
      ]),
]

interface Answer {
  readonly response: Response
  readonly text: string
}

/** An API with its store behind something that fails. Its handler counts its runs, and does `during` in each. */
async function bench(kind: Kind, { onTestFinished }: Pick<TestContext, 'onTestFinished'>) {
  const front = await kind.front()
  const { store, close } = await kind.open(front.url)
  const api = { runs: 0, during: async (): Promise<unknown> => undefined }
  const protectedBy = (storeTimeoutMs: number): RequestListener =>
    idempotency({ store, storeTimeoutMs })(async (_, response) => {
      api.runs++
      await api.during()
      response.writeHead(201).end(`run ${api.runs}`)
    })
  const handlers: Readonly<Record<Patience, RequestListener>> = {
    patient: protectedBy(TIMEOUTS_MS.patient),
    impatient: protectedBy(TIMEOUTS_MS.impatient),
  }
  const server = await listening(
    createServer((request, response) =>
      handlers[request.headers['x-patience'] as Patience](request, response),
    ),
  )
  onTestFinished(async () => {
    await front.recover()
    server.closeAllConnections()
    server.close()
    await close()
    await front[Symbol.asyncDispose]()
  })
  const { port } = server.address() as AddressInfo
  const id = randomUUID()
  const send = async (key: string, patience: Patience = 'patient'): Promise<Answer> => {
    const headers = { 'idempotency-key': `${id}:${key}`, 'x-patience': patience }
    const response = await fetch(`http://127.0.0.1:${port}/orders`, { method: 'POST', headers })
    return { response, text: await response.text() }
  }
  /** Sends it again as long as another one that nobody waits for any more may have the key, which is then given back. */
  const sendWhileTaken = async (key: string, patience?: Patience): Promise<Answer> => {
    for (let tries = 0; tries < 200; tries++) {
      const answer = await send(key, patience)
      if (!/"(store-unavailable|request-in-flight)"/.test(answer.text)) return answer
      await tick(20)
    }
    throw new Error('the key was not given back')
  }
  return { front, api, send, sendWhileTaken }
}

function expectUnavailable({ response, text }: Answer): void {
  expect(response.status).toBe(503)
  expect(response.headers.get('content-type')).toBe('application/problem+json')
  expect(response.headers.get('retry-after')).toMatch(/^\d+$/)
  expect(JSON.parse(text)).toMatchObject({ status: 503, code: 'store-unavailable' })
}

// Most of their time they wait.
describe.concurrent.each(kinds)('a store through $name', { timeout: 60_000 }, (kind) => {
  test.for<Outage>(['shut', 'silent'])(
    'that is %s: 503 and no run; when it is back the same key runs once',
    async (outage, context) => {
      const { front, api, send, sendWhileTaken } = await bench(kind, context)
      expect((await send('before')).response.status).toBe(201)
      await front.fail(outage)
      expectUnavailable(await send('k', 'impatient'))
      expectUnavailable(await send('k', 'impatient'))
      expect(api.runs).toBe(1)
      await front.recover()
      const served = await sendWhileTaken('k')
      expect(served.response.status).toBe(201)
      const replayed = await send('k')
      expect(replayed.response.headers.get('idempotent-replayed')).toBe('true')
      expect(replayed.text).toBe(served.text)
      expect((await send('before')).text).toBe('run 1')
      expect(api.runs).toBe(2)
    },
  )

  test.for<Outage>(['shut', 'silent'])(
    'that is %s when the handler has run: its response is sent as unsaved, and it never runs again by itself',
    async (outage, context) => {
      const { front, api, send, sendWhileTaken } = await bench(kind, context)
      api.during = async () => front.fail(outage)
      const { response, text } = await sendWhileTaken('k', 'impatient')
      expect(response.status).toBe(201)
      expect(text).toBe('run 1')
      expect(response.headers.get('idempotency-status')).toBe('unsaved')
      await front.recover()
      const again = await send('k')
      expect(api.runs).toBe(1)
      // With luck the recording has arrived; else nobody knows, until the lease is over, that nothing is under way.
      if (again.response.status === 201) expect(again.text).toBe('run 1')
      else expect(JSON.parse(again.text)).toMatchObject({ status: 409, code: 'request-in-flight' })
    },
  )

  test('that is started anew while the handler runs: the response is recorded all the same', async (context) => {
    const { front, api, send } = await bench(kind, context)
    const started = deferred()
    const goOn = deferred()
    api.during = () => {
      started.resolve()
      return goOn.promise
    }
    const work = send('k')
    await started.promise
    await front.restart()
    goOn.resolve()
    const { response, text } = await work
    expect(response.status).toBe(201)
    expect(response.headers.has('idempotency-status')).toBe(false)
    const replayed = await send('k')
    expect(replayed.response.headers.get('idempotent-replayed')).toBe('true')
    expect(replayed.text).toBe(text)
    expect(api.runs).toBe(1)
  })
})
