import { attach } from './context.ts'
import { Engine, KEY_HEADER, type RequestView } from './engine.ts'
import type { EarlyResponse, Execution } from './execution.ts'
import type { IdempotencyOptions } from './options.ts'
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
      const response = respond(engine, handler, request, rest)
      keepAlive(rest, response)
      return response
    }
}

async function respond<Rest extends unknown[]>(
  engine: Engine<Request>,
  handler: WebHandler<Rest>,
  request: Request,
  rest: Rest,
): Promise<Response> {
  const view = new WebRequestView(request)
  const screening = engine.screen(view.method, view.target, view.keyLines)
  if (screening.type === 'refused') return toResponse(screening.answer)
  if (screening.type === 'unprotected') {
    attach(request, screening.context)
    const response = await handler(request, ...rest)
    return screening.ignored ? withStatus(response, 'ignored') : response
  }
  const run = new WebRun(engine.settings.maxResponseBytes)
  const admission = await engine.admit(view, screening.key, (value) => run.find(value))
  if (admission.type === 'answer') return toResponse(admission.answer)
  attach(request, admission.execution)
  return run.settle(admission.execution, async () => handler(request, ...rest))
}

class WebRequestView implements RequestView<Request> {
  readonly source: Request
  readonly method: string
  readonly target: string

  constructor(request: Request) {
    const { pathname, search } = new URL(request.url)
    this.source = request
    this.method = request.method
    this.target = pathname + search
  }

  /** The platform has joined several lines into one, which no key can be. */
  get keyLines(): string[] {
    const line = this.source.headers.get(KEY_HEADER)
    return line === null ? [] : [line]
  }

  header(name: string): string | undefined {
    return this.source.headers.get(name) ?? undefined
  }

  async body(maxBytes: number): Promise<Uint8Array | 'too-large' | 'unavailable'> {
    if (this.source.bodyUsed) return 'unavailable'
    if (this.source.body === null) return new Uint8Array()
    if (Number(this.header('content-length')) > maxBytes) return 'too-large'
    return limitedBytes(this.source.clone(), maxBytes)
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

  async settle(execution: Execution, handle: () => Promise<Response>): Promise<Response> {
    try {
      const returned = await handle()
      const captured = this.#early ?? (await capture(returned, this.#maxBytes))
      const verdict = await execution.respond(captured.response)
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

/** Workers stop with the response, or with the client, unless told what is still to be done. */
function keepAlive(rest: readonly unknown[], response: Promise<Response>): void {
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
