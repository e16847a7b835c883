import type { IncomingMessage, ServerResponse } from 'node:http'
import { KEY_HEADER, type ReadBody, type RequestView } from '../engine.ts'
import type { WhenGone } from '../waiting.ts'
import { readBody } from './body.ts'
import { endOfTurn } from './turn.ts'

/** A request as a framework on node:http has it. */
export interface Incoming<Req extends object> {
  /** The framework's own request, for the application. */
  readonly source: Req
  readonly request: IncomingMessage
  readonly response: ServerResponse
  /** Path and query, where the framework has them elsewhere. */
  readonly target?: string | undefined
  /** More objects of the framework that stand for the request: `idempotencyOf` takes them, and one may have `rawBody`. */
  readonly aliases?: readonly object[]
}

/** A node:http request as the engine sees it; also for frameworks that are built on one. */
export class NodeRequestView<Req extends object> implements RequestView<Req> {
  readonly source: Req
  readonly method: string
  readonly target: string
  /** Somebody had read the body before, and nobody has kept it. */
  bodyGone = false
  readonly #request: IncomingMessage
  readonly #response: ServerResponse
  readonly #aliases: readonly object[]

  constructor({ source, request, response, target = wholeTarget(request), aliases = [] }: Incoming<Req>) {
    this.source = source
    this.#request = request
    this.#response = response
    this.#aliases = aliases
    this.method = request.method ?? 'GET'
    this.target = withoutOrigin(target)
  }

  /**
   * Line by line: node joins them, and what two lines join to looks like one key to some. Not `headersDistinct`, which
   * requests that no socket brought do not have.
   */
  get keyLines(): readonly string[] {
    const { headers, rawHeaders } = this.#request
    const joined = headers[KEY_HEADER]
    // Without a comma it is one line, or none.
    if (joined === undefined) return []
    if (typeof joined === 'string' && !joined.includes(',')) return [joined]
    const lines: string[] = []
    for (let index = 0; index < rawHeaders.length; index += 2) {
      if (rawHeaders[index]?.toLowerCase() === KEY_HEADER) lines.push(rawHeaders[index + 1] ?? '')
    }
    // A request that somebody made up may have no raw ones.
    return lines.length > 0 ? lines : [joined].flat()
  }

  header(name: string): string | undefined {
    const value = this.#request.headers[name]
    return Array.isArray(value) ? value.join(', ') : value
  }

  /** The response knows: a request whose body has arrived does not close with its connection. */
  readonly whenGone: WhenGone = (callback) => {
    const response = this.#response
    if (response.closed) callback()
    response.once('close', callback)
    return () => response.off('close', callback)
  }

  /** Node has said so itself, unless somebody listens to `checkContinue`: he would only after the body has been read here. */
  #askForBody(): void {
    const response = this.#response
    const isAwaited = /^100-continue$/i.test(this.header('expect') ?? '')
    if (isAwaited && Reflect.get(response, '_sent100') === false) response.writeContinue()
  }

  async body(maxBytes: number): Promise<ReadBody> {
    const reading = readBody(this.#request, maxBytes, [this.source, ...this.#aliases])
    if (reading instanceof Promise) this.#askForBody()
    const body = reading instanceof Promise ? await reading : reading
    this.bodyGone = body === 'unavailable'
    await endOfTurn()
    // An adapter for functions (serverless-express) has declared it read meanwhile, and parsers would go on without it.
    if (!this.#request.readable && this.#request.readableLength > 0)
      Reflect.set(this.#request, 'readable', true)
    return body
  }
}

/** Express, and all that mounts handlers by their path, cuts `url` and keeps it here. */
function wholeTarget(request: IncomingMessage): string {
  const original: unknown = Reflect.get(request, 'originalUrl')
  return typeof original === 'string' ? original : (request.url ?? '/')
}

/** A proxy may send the absolute form (RFC 9112, 3.2.2). */
function withoutOrigin(target: string): string {
  const origin = /^[a-z][a-z0-9+.-]*:\/\/[^/?]*/i.exec(target)
  if (origin === null) return target
  const rest = target.slice(origin[0].length)
  return rest.startsWith('/') ? rest : `/${rest}`
}
