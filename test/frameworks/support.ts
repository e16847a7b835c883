/** What the tests of every framework do: start a server, ask it, and compare what it says with and without the layer. */
import { once } from 'node:events'
import { createServer, request, type IncomingMessage, type RequestListener } from 'node:http'
import { connect, type AddressInfo } from 'node:net'
import { text } from 'node:stream/consumers'
import { gunzipSync } from 'node:zlib'
import { fileURLToPath } from 'node:url'
import { expect, onTestFinished } from 'vitest'
import type { IdempotencyEvent, IdempotencyOptions } from '../../src/idempotency/index.ts'
import { memoryStore } from '../../src/stores/memory.ts'
import { sqliteStore, type SqliteDatabase } from '../../src/stores/sqlite/index.ts'
import { until } from '../client/support/wait.ts'

export const FILE: string = fileURLToPath(new URL('../../package.json', import.meta.url))
export const MIB: Buffer = Buffer.alloc(1_048_576, 'x')
export const JSON_BODY = { body: '{"a":1}', headers: { 'content-type': 'application/json' } } as const

/** Makes layers in a framework's own form, each over a store of its own; `events` is what the latest one has said. */
export function layers<Req, Layer>(
  idempotency: (options: IdempotencyOptions<Req>) => Layer,
): {
  readonly events: readonly IdempotencyEvent[]
  readonly layer: (options?: Partial<IdempotencyOptions<Req>>) => Layer
} {
  const events: IdempotencyEvent[] = []
  const layer = (options: Partial<IdempotencyOptions<Req>> = {}): Layer => {
    events.length = 0
    return idempotency({ store: memoryStore(), onEvent: (event) => void events.push(event), ...options })
  }
  return { events, layer }
}

export interface Question {
  readonly method?: string
  readonly path?: string
  /** `null`: none. Default `'k'`. */
  readonly key?: string | null
  readonly headers?: Readonly<Record<string, string>>
  readonly body?: string | Buffer
}

export interface Answer {
  readonly status: number
  readonly message: string
  readonly headers: Readonly<Record<string, string>>
  readonly body: Buffer
  readonly text: string
  readonly replayed: boolean
}

/** Starts a server on loopback for one test; resolves to its port. */
export async function serving(listener: RequestListener): Promise<number> {
  const server = createServer(listener).listen(0, '127.0.0.1')
  onTestFinished(() => {
    server.closeAllConnections()
    server.close()
  })
  await once(server, 'listening')
  return (server.address() as AddressInfo).port
}

export async function ask(port: number, question: Question = {}): Promise<Answer> {
  const { method = 'POST', path = '/', key = 'k', headers = {}, body } = question
  const sent = request({
    host: '127.0.0.1',
    port,
    method,
    path,
    headers: { ...(key === null ? {} : { 'idempotency-key': key }), ...headers },
  })
  sent.end(body)
  const [response] = (await once(sent, 'response')) as [IncomingMessage]
  const chunks: Buffer[] = []
  for await (const chunk of response) chunks.push(Buffer.from(chunk))
  return answerOf(response, Buffer.concat(chunks))
}

function answerOf(response: IncomingMessage, body: Buffer): Answer {
  const headers: Record<string, string> = {}
  for (const [name, lines = []] of Object.entries(response.headersDistinct)) headers[name] = lines.join(' | ')
  const { statusCode = 0, statusMessage = '' } = response
  const replayed = headers['idempotent-replayed'] === 'true'
  return { status: statusCode, message: statusMessage, headers, body, text: body.toString(), replayed }
}

/** Headers of one exchange, or of one way to send the same bytes. */
export const OF_THE_EXCHANGE: ReadonlySet<string> = new Set([
  'connection',
  'content-length',
  'date',
  'idempotency-status',
  'idempotent-replayed',
  'keep-alive',
  'transfer-encoding',
])

interface Essence {
  readonly status: number
  readonly message: string
  readonly headers: readonly (readonly [string, string])[]
  readonly body: string
}

function essenceOf(answer: Answer, without: readonly string[] = []): Essence {
  const headers = Object.entries(answer.headers).filter(
    ([name]) => !OF_THE_EXCHANGE.has(name) && !without.includes(name),
  )
  return {
    status: answer.status,
    message: answer.message,
    headers: headers.toSorted(([a], [b]) => (a < b ? -1 : 1)),
    body: answer.body.toString('latin1'),
  }
}

export interface Twins {
  /** The application without the layer. */
  readonly bare: number
  /** The same behind it. */
  readonly kept: number
}

/** The layer changes nothing of an answer, and what it replays is the same once more. */
export async function expectFaithful({ bare, kept }: Twins, question: Question): Promise<Answer> {
  const expected = await ask(bare, question)
  const first = await ask(kept, question)
  const again = await ask(kept, question)
  expect(essenceOf(first)).toEqual(essenceOf(expected))
  expect(first.replayed).toBe(false)
  // A replay is not to be cached, and sets no cookie.
  const once = ['cache-control', 'set-cookie']
  expect(essenceOf(again, once)).toEqual(essenceOf(expected, once))
  expect(again.replayed).toBe(true)
  return expected
}

/** The key was given back: the same request runs again. */
export async function expectReleased(port: number, question: Question): Promise<Answer> {
  const first = await ask(port, question)
  const again = await ask(port, question)
  expect([first.replayed, again.replayed]).toEqual([false, false])
  expect(again.status).toBe(first.status)
  expect(first.headers['idempotency-status']).toBeUndefined()
  return first
}

export async function expectReplayed(port: number, question: Question): Promise<Answer> {
  const first = await ask(port, question)
  const again = await ask(port, question)
  expect(first.replayed).toBe(false)
  expect(again.replayed).toBe(true)
  expect(essenceOf(again, ['cache-control', 'set-cookie'])).toEqual(
    essenceOf(first, ['cache-control', 'set-cookie']),
  )
  return first
}

/** A place where a handler waits for its client to leave. */
export class Departure {
  #arrived = false
  #left = false
  #leave: () => void = () => {}

  /** For the handler: goes on when the server knows that the client is gone. */
  async pass({ socket }: IncomingMessage): Promise<void> {
    socket.once('close', () => {
      this.#left = true
    })
    this.#arrived = true
    this.#leave()
    await until(() => this.#left)
    // Whoever else listens is told in the same turn.
    await new Promise((resolve) => void setImmediate(resolve))
  }

  /** Sends a request, leaves while its handler is in `pass`, and asks once more when its response is recorded. */
  async answerAfter(port: number, events: readonly IdempotencyEvent[], path = '/'): Promise<Answer> {
    const arrived = new Promise<void>((resolve) => {
      this.#leave = resolve
    })
    const socket = connect(port, '127.0.0.1')
    socket.write(`POST ${path} HTTP/1.1\r\nHost: a\r\nIdempotency-Key: k\r\nContent-Length: 0\r\n\r\n`)
    if (!this.#arrived) await arrived
    socket.destroy()
    await until(() => events.some(({ type }) => type === 'completed' || type === 'released'))
    return ask(port, { path, headers: { 'content-length': '0' } })
  }
}

/** Sends requests in one packet over one connection; resolves to all that comes back. */
export async function pipelined(port: number, requests: readonly Question[]): Promise<string[]> {
  const socket = connect(port, '127.0.0.1')
  const heads = requests.map(({ method = 'POST', path = '/', key = 'k' }, index) => {
    const last = index === requests.length - 1
    const lines = [`${method} ${path} HTTP/1.1`, 'Host: a', 'Content-Length: 0']
    if (key !== null) lines.push(`Idempotency-Key: ${key}`)
    if (last) lines.push('Connection: close')
    return [...lines, '', ''].join('\r\n')
  })
  socket.write(heads.join(''))
  return (await text(socket)).split(/(?=HTTP\/1\.1 )/)
}

/** For handlers that answer with their path: with a key or without, in the order of the requests. */
export async function expectInOrder(port: number): Promise<void> {
  const parts = await pipelined(port, [
    { key: '1', path: '/1' },
    { key: '2', path: '/2' },
    { key: null, path: '/3' },
  ])
  expect(parts.map((part) => part.slice(-2))).toEqual(['/1', '/2', '/3'])
}

/** Gzip for who takes it, the plain bytes for who does not, whoever asked first. */
export async function expectCompressedAnew(port: number, path: string): Promise<void> {
  const ways = [{ 'accept-encoding': 'gzip' }, { 'accept-encoding': 'identity' }]
  for (const [key, order] of Object.entries({ gzipFirst: ways, plainFirst: ways.toReversed() })) {
    const bodies: string[] = []
    for (const headers of [...order, ...order]) {
      const answer = await ask(port, { path, key, headers })
      const zipped = answer.headers['content-encoding'] === 'gzip'
      expect(zipped).toBe(headers['accept-encoding'] === 'gzip')
      bodies.push((zipped ? gunzipSync(answer.body) : answer.body).toString())
    }
    expect(new Set(bodies).size).toBe(1)
  }
}

/** Each origin gets its own headers, on first answers, replays and refusals alike. */
export async function expectCors(port: number): Promise<void> {
  const preflight = await ask(port, {
    method: 'OPTIONS',
    key: null,
    headers: {
      origin: 'https://a.test',
      'access-control-request-method': 'POST',
      'access-control-request-headers': 'idempotency-key',
    },
  })
  expect(preflight.status).toBe(204)
  expect(preflight.headers['access-control-allow-headers']).toMatch(/idempotency-key/i)
  const asking = async (origin: string, body: string): Promise<Answer> => {
    const answer = await ask(port, { body, headers: { origin, 'content-type': 'text/plain' } })
    expect(answer.headers['access-control-allow-origin']).toBe(origin)
    expect(answer.headers['access-control-expose-headers']).toMatch(/idempotent-replayed/i)
    return answer
  }
  expect((await asking('https://a.test', 'x')).replayed).toBe(false)
  expect((await asking('https://b.test', 'x')).replayed).toBe(true)
  expect((await asking('https://c.test', 'y')).status).toBe(422)
}

const CREATE = 'CREATE TABLE IF NOT EXISTS orders (id INTEGER PRIMARY KEY)'

export interface Ledger {
  readonly store: ReturnType<typeof sqliteStore>
  /** A handler's work: throws after the first order has been added. */
  readonly order: (db: SqliteDatabase) => void
  readonly count: (db: SqliteDatabase) => string
}

/** A SQLite store, and a table of orders beside it. */
export function ledger(): Ledger {
  const store = sqliteStore({ path: ':memory:' })
  onTestFinished(() => store.close?.())
  let runs = 0
  return {
    store,
    order(db) {
      db.exec(CREATE)
      db.exec('INSERT INTO orders DEFAULT VALUES')
      if (++runs === 1) throw new Error('out of stock')
    },
    count(db) {
      db.exec(CREATE)
      return `orders: ${Object(db.prepare('SELECT count(*) AS orders FROM orders').get()).orders}`
    },
  }
}

/** A throw takes the effect back with it, and what is done at last is done once. */
export async function expectOneEffect(port: number): Promise<void> {
  const orders = async (): Promise<string> => (await ask(port, { method: 'GET', key: null })).text
  expect((await ask(port)).status).toBe(500)
  expect(await orders()).toBe('orders: 0')
  expect((await expectReplayed(port, {})).status).toBe(201)
  expect(await orders()).toBe('orders: 1')
}

/** Hears the warnings of this process, in place of whoever prints them, until the test is over. */
export function warnings(): string[] {
  const heard: string[] = []
  const others = process.listeners('warning')
  process.removeAllListeners('warning')
  process.on('warning', ({ name, message }) => {
    if (name === 'HoldfastWarning') heard.push(message)
  })
  onTestFinished(() => {
    process.removeAllListeners('warning')
    for (const listener of others) process.on('warning', listener)
  })
  return heard
}
