import type { HandlerResponse } from './answer.ts'
import { attach } from './context.ts'
import { Engine, KEY_HEADER, type RequestView } from './engine.ts'
import type { Execution } from './execution.ts'
import type { IdempotencyOptions } from './options.ts'
import type { EarlyResponse, Thrown } from './verdict.ts'
import type { WhenGone } from './waiting.ts'
import { limitedBytes } from './web-body.ts'
import { capture, isResponse, toResponse, withStatus, type Captured } from './web-response.ts'

/** A web-standard handler, as Deno, Bun, workers, Next.js and many frameworks take it. */
export type WebHandler<Rest extends unknown[]> = (
  request: Request,
  ...rest: Rest
) => Response | Promise<Response>

/**
 * Protects a web-standard handler: the same key with the same request runs it once, and everybody who asks again gets
 * the first response. The handler gets the very same request, and every further argument as it is.
 *
 * @throws {HoldfastError} `ERR_INVALID_OPTION`
 * @see https://datatracker.ietf.org/doc/draft-ietf-httpapi-idempotency-key-header/
 * @example
 * const protect = idempotency({ store: memoryStore(), scope: (request) => accountOf(request) })
 * export default { fetch: protect(async (request) => Response.json(await createOrder(request), { status: 201 })) }
 */
export function idempotency(
  options: IdempotencyOptions,
): <Rest extends unknown[]>(
  handler: WebHandler<Rest>,
) => (request: Request, ...rest: Rest) => Promise<Response> {
  const engine = new Engine(options)
  return (handler) =>
    (request, ...rest) => {
      const handle = async (): Promise<Response> => handler(request, ...rest)
      const response = respond(engine, { source: request, request, handle })
      keepAlive(rest, response)
      return response
    }
}

/** A web-standard request on its way to a handler. */
export interface WebExchange<Req extends object> {
  /** The framework's own request, for the application. */
  readonly source: Req
  readonly request: Request
  handle(): Promise<Response>
  /** Headers of the response that middleware outside had set before, asked for before `handle`: they are not the handler's. */
  entry?(): Headers
  /** What was thrown, where what `handle` resolved to is an error handler's. */
  thrown?(): Thrown | undefined
}

/** What every framework on web-standard requests does with one. */
export async function respond<Req extends object>(
  engine: Engine<Req>,
  exchange: WebExchange<Req>,
): Promise<Response> {
  const { source, request } = exchange
  const view = new WebRequestView(source, request)
  const screening = engine.screen(view.method, view.target, view.keyLines)
  if (screening.type === 'refused') return toResponse(screening.answer)
  if (screening.type === 'unprotected') {
    attach(source, screening.context)
    attach(request, screening.context)
    const response = await exchange.handle()
    if (screening.context.used) await screening.context.committed(response)
    return screening.ignored ? withStatus(response, 'ignored') : response
  }
  const run = new WebRun(engine.settings.maxResponseBytes)
  const admission = await engine.admit(view, screening.key, (value) => run.find(value))
  if (admission.type === 'answer') return toResponse(admission.answer)
  if (admission.type === 'covered') return exchange.handle()
  attach(source, admission.execution)
  attach(request, admission.execution)
  return run.settle(admission.execution, exchange)
}

class WebRequestView<Req> implements RequestView<Req> {
  readonly source: Req
  readonly method: string
  readonly target: string
  readonly #request: Request

  constructor(source: Req, request: Request) {
    const { pathname, search } = new URL(request.url)
    this.source = source
    this.#request = request
    this.method = request.method
    this.target = pathname + search
  }

  /** The platform has joined several lines into one, which no key can be. */
  get keyLines(): string[] {
    const line = this.#request.headers.get(KEY_HEADER)
    return line === null ? [] : [line]
  }

  header(name: string): string | undefined {
    return this.#request.headers.get(name) ?? undefined
  }

  readonly whenGone: WhenGone = (callback) => {
    const { signal } = this.#request
    if (signal.aborted) callback()
    signal.addEventListener('abort', callback, { once: true })
    return () => signal.removeEventListener('abort', callback)
  }

  async body(maxBytes: number): Promise<Uint8Array | 'too-large' | 'unavailable'> {
    const { body, bodyUsed } = this.#request
    // One that is locked can't be cloned: somebody is about to read it.
    if (bodyUsed || body?.locked === true) return 'unavailable'
    if (body === null) return new Uint8Array()
    if (Number(this.header('content-length')) > maxBytes) return 'too-large'
    return limitedBytes(this.#request.clone(), maxBytes)
  }
}

/** One run of a handler, whose response comes from its return value or from inside its transaction. */
class WebRun {
  readonly #maxBytes: number
  #early: Captured | undefined

  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes
  }

  async find(value: unknown): Promise<EarlyResponse | undefined> {
    if (!isResponse(value)) return undefined
    this.#early = await capture(value, this.#maxBytes)
    // The handler gets one it can still read; only the first one is sent.
    return { response: this.#early.response, value: this.#early.toResponse() }
  }

  async settle<Req extends object>(execution: Execution, exchange: WebExchange<Req>): Promise<Response> {
    const entry = exchange.entry?.()
    try {
      const returned = await exchange.handle()
      const captured = this.#early ?? (await capture(returned, this.#maxBytes))
      const verdict = await execution.respond(...judged(captured.response, entry, exchange))
      if (verdict.type === 'void') throw verdict.error
      return verdict.type === 'other' ? toResponse(verdict.answer) : captured.toResponse(verdict.status)
    } catch (error) {
      const verdict = await execution.fail(error)
      if (verdict?.type === 'other') return toResponse(verdict.answer)
      if (verdict?.type === 'own' && this.#early !== undefined) return this.#early.toResponse(verdict.status)
      throw error
    }
  }
}

function judged<Req extends object>(
  response: HandlerResponse,
  entry: Headers | undefined,
  exchange: WebExchange<Req>,
): [response: HandlerResponse, thrown: Thrown | undefined] {
  const headers = response.headers.filter(([name, value]) => entry?.get(name) !== value)
  // An error that was answered with a success has been dealt with.
  return [{ ...response, headers }, response.status >= 400 ? exchange.thrown?.() : undefined]
}

/** Workers stop with the response, or with the client, unless told what is still to be done. */
export function keepAlive(rest: readonly unknown[], response: Promise<Response>): void {
  const context = rest.find(canWait)
  context?.waitUntil(response.catch(() => {}))
}

function canWait(value: unknown): value is { waitUntil(work: Promise<unknown>): void } {
  return (
    typeof value === 'object' &&
    value !== null &&
    'waitUntil' in value &&
    typeof value.waitUntil === 'function'
  )
}
