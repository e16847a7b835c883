import type { HandlerResponse } from '../answer.ts'
import { attach } from '../context.ts'
import type { Engine } from '../engine.ts'
import type { Execution } from '../execution.ts'
import type { EarlyResponse, Thrown } from '../verdict.ts'
import { WebRequestView } from './request.ts'
import { capture, isResponse, toResponse, withStatus, type Captured } from './response.ts'

/** A web-standard request on its way to a handler. */
export interface WebExchange<Req extends object> {
  /** The framework's own request, for the application. */
  readonly source: Req
  readonly request: Request
  /** Runs the handler. */
  handle(): Promise<Response>
  /** Headers that middleware outside has set already, which are not the handler's. Called before `handle`. */
  entry?(): Headers
  /** What was thrown, where `handle` resolved to the response of an error handler. Called after `handle`. */
  thrown?(): Thrown | undefined
}

/** Takes a request through the engine; every framework on web-standard requests calls it. */
export async function serve<Req extends object>(
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

/** One run of a handler, whose response comes from its return value or from inside its transaction. */
class WebRun {
  readonly #maxBytes: number
  #early: Captured | undefined

  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes
  }

  /** A response among the values that a transaction's `fn` resolves to. */
  async find(value: unknown): Promise<EarlyResponse | undefined> {
    if (!isResponse(value)) return undefined
    this.#early = await capture(value, this.#maxBytes)
    // The handler gets a copy that it can still read; what it returns then is not looked at any more.
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

/** What the engine decides on: the response with the handler's own headers only, and a throw that it stands for. */
function judged<Req extends object>(
  response: HandlerResponse,
  entry: Headers | undefined,
  exchange: WebExchange<Req>,
): [response: HandlerResponse, thrown: Thrown | undefined] {
  const headers = response.headers.filter(([name, value]) => entry?.get(name) !== value)
  // An error that was answered with a success has been dealt with.
  return [{ ...response, headers }, response.status >= 400 ? exchange.thrown?.() : undefined]
}

/**
 * Workers are stopped once they have responded, or when the client leaves: `waitUntil` of the context, which is among
 * the handler's arguments, keeps one alive until the key is settled.
 */
export function keepWorkerAlive(rest: readonly unknown[], response: Promise<Response>): void {
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
