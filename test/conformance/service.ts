import { once } from 'node:events'
import {
  createServer,
  request as httpRequest,
  type IncomingMessage,
  type Server,
  type ServerResponse,
} from 'node:http'
import type { AddressInfo } from 'node:net'
import { idempotency as protectListener } from '../../src/idempotency/frameworks/node.ts'
import {
  idempotency,
  idempotencyOf,
  type Idempotency,
  type IdempotencyEvent,
  type IdempotencyOptions,
  type IdempotencyStore,
} from '../../src/idempotency/index.ts'
import { listening } from '../support/listening.ts'
import { isWorking } from './faulty-store.ts'
import { storeKinds, type StoreKind } from './stores-under-test.ts'
import type { VirtualClock } from '../../src/testing/virtual-clock.ts'

/** A request as a handler of a case sees it, whatever framework it came through. */
export interface Call {
  readonly method: string
  readonly target: string
  readonly body: Uint8Array
  readonly idempotency: Idempotency
  /** Responds there and then: what to return from `transaction(fn)`, and from the handler. */
  readonly early: (output: Output) => Early
}

/** A framework's own sign that a response is there. */
export type Early = Response | 'ended'

export interface Output {
  readonly status?: number
  readonly statusText?: string
  readonly headers?: Readonly<Record<string, string | readonly string[]>>
  readonly body?: string | Uint8Array | readonly (string | Uint8Array)[]
}

export interface Sent {
  readonly method?: string
  readonly path?: string
  /** One Idempotency-Key line each. */
  readonly key?: string | readonly string[] | undefined
  readonly headers?: Readonly<Record<string, string>>
  readonly body?: string | Uint8Array | undefined
  readonly signal?: AbortSignal
}

export interface Reply {
  readonly status: number
  readonly statusText: string
  readonly headers: Headers
  readonly body: Uint8Array
  readonly text: string
}

export type Options = Omit<IdempotencyOptions<unknown>, 'store' | 'clock' | 'scope' | 'fingerprint'> & {
  readonly fingerprint?: 'bytes' | 'canonical-json' | ((request: unknown, body: Uint8Array) => string)
  /** By the value of a request's X-Client header. */
  readonly scope?: (client: string) => string | undefined
}

/** A service with one handler, to send requests to. */
export interface Service extends AsyncDisposable {
  /** What the handler does; a case replaces it. Default: 201 and the number of the run. */
  handle: (call: Call) => Output | Early | Promise<Output | Early>
  /** How often the handler ran. */
  readonly count: number
  readonly events: readonly IdempotencyEvent[]
  readonly clock: VirtualClock
  readonly store: IdempotencyStore
  send(request?: Sent): Promise<Reply>
}

export interface ServiceKind {
  readonly name: string
  readonly start: (store: IdempotencyStore, clock: VirtualClock, options?: Options) => Promise<Service>
}

abstract class BaseService implements Service {
  count = 0
  readonly events: IdempotencyEvent[] = []
  readonly clock: VirtualClock
  readonly store: IdempotencyStore
  handle: (call: Call) => Output | Early | Promise<Output | Early> = () => ({
    status: 201,
    body: `run ${this.count}`,
  })

  constructor(store: IdempotencyStore, clock: VirtualClock) {
    this.store = store
    this.clock = clock
  }

  protected options(options: Options): Omit<IdempotencyOptions<unknown>, 'scope'> {
    const { scope: _, onEvent, ...rest } = options
    return {
      ...rest,
      store: this.store,
      clock: this.clock,
      onEvent: (event) => {
        this.events.push(event)
        onEvent?.(event)
      },
    }
  }

  protected run(call: Call): Output | Early | Promise<Output | Early> {
    this.count++
    return this.handle(call)
  }

  abstract send(request?: Sent): Promise<Reply>
  abstract [Symbol.asyncDispose](): Promise<void>
}

const encoded = (part: string | Uint8Array): Uint8Array =>
  typeof part === 'string' ? new TextEncoder().encode(part) : part

function parts(body: Output['body']): Uint8Array[] {
  if (body === undefined) return []
  return typeof body === 'string' || body instanceof Uint8Array ? [encoded(body)] : body.map(encoded)
}

/** None where the status has none. */
export function bytesOf({ status = 200, body }: Output): Buffer {
  return Buffer.concat([204, 205, 304].includes(status) ? [] : parts(body))
}

function headerLines(headers: Output['headers'] = {}): [string, string][] {
  return Object.entries(headers).flatMap(([name, value]) =>
    (typeof value === 'string' ? [value] : value).map((line): [string, string] => [name, line]),
  )
}

function keysOf(key: Sent['key']): readonly string[] {
  if (key === undefined) return []
  return typeof key === 'string' ? [key] : key
}

export function toResponse(output: Output): Response {
  const { status = 200, statusText = '', headers } = output
  const content = [204, 205, 304].includes(status) ? null : new Uint8Array(bytesOf(output))
  return new Response(content, { status, statusText, headers: headerLines(headers) })
}

export function clientOf({ headers }: IncomingMessage): string {
  return String(headers['x-client'] ?? '')
}

/** `scope` as the options of a framework have it, where a case asks for one. */
export function scopeBy<Req>(
  scope: Options['scope'],
  clientOf: (request: Req) => string,
): { scope?: (request: Req) => string | undefined } {
  return scope === undefined ? {} : { scope: (request) => scope(clientOf(request)) }
}

export class WebService extends BaseService {
  protected handler: (request: Request) => Response | Promise<Response>

  constructor(store: IdempotencyStore, clock: VirtualClock, options: Options) {
    super(store, clock)
    const { scope } = options
    const client = (request: Request): string => request.headers.get('x-client') ?? ''
    const protect = idempotency({ ...this.options(options), ...scopeBy(scope, client) })
    this.handler = protect(async (request) => {
      const { pathname, search } = new URL(request.url)
      const body = new Uint8Array(await request.arrayBuffer())
      const output = await this.run({
        method: request.method,
        target: pathname + search,
        body,
        idempotency: idempotencyOf(request),
        early: toResponse,
      })
      if (output instanceof Response) return output
      if (output === 'ended') throw new Error('a web handler can not end its response')
      return toResponse(output)
    })
  }

  async send({ method = 'POST', path = '/effects', key, headers, body, signal }: Sent = {}): Promise<Reply> {
    const all = new Headers(headers)
    for (const line of keysOf(key)) all.append('idempotency-key', line)
    const content = body === undefined ? null : Buffer.from(encoded(body))
    const response = await this.handler(
      new Request(`http://service.test${path}`, {
        method,
        headers: all,
        body: content,
        ...(signal === undefined ? {} : { signal }),
      }),
    )
    const bytes = new Uint8Array(await response.arrayBuffer())
    const { status, statusText } = response
    return {
      status,
      statusText,
      headers: response.headers,
      body: bytes,
      text: new TextDecoder().decode(bytes),
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {}
}

export function writeTo(response: ServerResponse, output: Output): void {
  const { status = 200, statusText = '', headers = {}, body } = output
  for (const [name, value] of Object.entries(headers)) response.setHeader(name, value)
  response.writeHead(status, statusText)
  const [last, ...rest] = parts(body).toReversed()
  for (const part of rest.toReversed()) response.write(part)
  response.end(last)
}

/** A service on a socket: sends real requests to the server that `listen` has started. */
export abstract class SocketService extends BaseService {
  protected abstract readonly server: Server

  get port(): number {
    // A listening TCP server has an address of this kind.
    return (this.server.address() as AddressInfo).port
  }

  /** For what is built on node:http: `request` and `response` as they are there. */
  protected async callOf(request: IncomingMessage, response: ServerResponse, target: string): Promise<Call> {
    const chunks: Buffer[] = []
    for await (const chunk of request) chunks.push(Buffer.from(chunk))
    const early = (output: Output): Early => {
      writeTo(response, output)
      return 'ended'
    }
    const { method = '' } = request
    return { method, target, body: Buffer.concat(chunks), idempotency: idempotencyOf(request), early }
  }

  send({ method = 'POST', path = '/effects', key, headers, body, signal }: Sent = {}): Promise<Reply> {
    return new Promise((resolve, reject) => {
      const sent = httpRequest({
        host: '127.0.0.1',
        port: this.port,
        method,
        path,
        headers: { ...headers, ...(key === undefined ? {} : { 'idempotency-key': [...keysOf(key)] }) },
        ...(signal === undefined ? {} : { signal }),
      })
      sent.on('error', reject)
      sent.on('response', (response) => void replyFrom(response).then(resolve, reject))
      sent.end(body)
    })
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.server.closeAllConnections()
    this.server.close()
    await once(this.server, 'close')
  }
}

class NodeService extends SocketService {
  protected readonly server: Server

  constructor(store: IdempotencyStore, clock: VirtualClock, options: Options) {
    super(store, clock)
    const { scope } = options
    const protect = protectListener({
      ...this.options(options),
      ...scopeBy<IncomingMessage>(scope, clientOf),
    })
    const listener = protect(async (request, response) => {
      const output = await this.run(await this.callOf(request, response, request.url ?? ''))
      if (output !== 'ended' && !(output instanceof Response)) writeTo(response, output)
    })
    this.server = createServer((request, response) => {
      // What a listener throws is, for these cases, an error page, as most frameworks have it.
      listener(request, response).catch((error: unknown) => {
        response.statusCode = 500
        response.setHeader('content-type', 'text/html')
        response.end(`<h1>${String(error)}</h1>`)
      })
    })
  }

  async listen(): Promise<this> {
    await listening(this.server)
    return this
  }
}

async function replyFrom(response: IncomingMessage): Promise<Reply> {
  const chunks: Buffer[] = []
  for await (const chunk of response) chunks.push(Buffer.from(chunk))
  const headers = new Headers()
  for (const [name, values = []] of Object.entries(response.headersDistinct)) {
    for (const value of values) headers.append(name, value)
  }
  const body = Buffer.concat(chunks)
  const { statusCode = 0, statusMessage = '' } = response
  return { status: statusCode, statusText: statusMessage, headers, body, text: body.toString() }
}

export const serviceKinds: readonly ServiceKind[] = [
  { name: 'web', start: async (store, clock, options = {}) => new WebService(store, clock, options) },
  { name: 'node', start: (store, clock, options = {}) => new NodeService(store, clock, options).listen() },
]

export interface Combination {
  readonly name: string
  readonly service: ServiceKind
  readonly store: StoreKind
}

const combine = (service: ServiceKind, stores: readonly StoreKind[]): Combination[] =>
  stores.map((store) => ({ name: `${service.name} over ${store.name}`, service, store }))

/** Every service over the stores of this process, and one over every server. */
export const combinations: readonly Combination[] = serviceKinds.flatMap((service) =>
  combine(
    service,
    storeKinds.filter(({ remote }) => !remote || (service.name === 'node' && remote === 'server')),
  ),
)

/** The same over every store with transactions, by every client: each has a transaction of its own. */
export const transactionCombinations: readonly Combination[] = serviceKinds.flatMap((service) =>
  combine(
    service,
    storeKinds.filter(({ transactions, remote }) => transactions && (!remote || service.name === 'node')),
  ),
)

/** A gate that handlers wait at until a case opens it. */
export function barrier(): { readonly opened: Promise<void>; open(): void } {
  let open = (): void => {}
  const opened = new Promise<void>((resolve) => {
    open = resolve
  })
  return { opened, open }
}

/** Resolves once `condition` holds; lets everything run in between. */
export async function until(condition: () => boolean): Promise<void> {
  const startedMs = performance.now()
  while (!condition()) {
    if (performance.now() - startedMs > 5000) throw new Error('the condition did not come true')
    await new Promise((resolve) => {
      setImmediate(resolve)
    })
  }
}

/** How finely `passing` lets time pass. */
const STEPS = 50

/** Lets a fiftieth of `ms` pass at a time until `work` ends; not while a store that is somewhere else owes an answer. */
export async function passing(
  { clock, store }: Pick<Service, 'clock' | 'store'>,
  ms: number,
  work: Promise<unknown>,
): Promise<void> {
  const state = { ended: false }
  const note = (): void => void (state.ended = true)
  work.then(note, note)
  // On a busy machine answers come late.
  for (let turn = 0, step = 0; turn < 2000 && step < 4 * STEPS && !state.ended; turn++) {
    await new Promise((resolve) => void setTimeout(resolve, 2))
    if (isWorking(store)) continue
    step++
    await clock.advance(ms / STEPS)
  }
}
