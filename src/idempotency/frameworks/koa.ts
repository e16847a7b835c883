/**
 * Idempotency keys for Koa.
 *
 * @module
 * @example
 * import Koa from 'koa'
 * import { idempotency } from 'holdfast/idempotency/koa'
 * import { memoryStore } from 'holdfast/stores/memory'
 *
 * const app = new Koa()
 * app.use(idempotency({ store: memoryStore() }))
 */
import type { IncomingMessage, ServerResponse } from 'node:http'
import { contextOf } from '../context.ts'
import { isEventStream, type Answer } from '../answer.ts'
import { isNullBodyStatus } from '../../primitives/null-body-status.ts'
import { Engine } from '../engine.ts'
import { hasReason, sentStatus } from '../node-http/node-behaviour.ts'
import { HeadersOnEntry, linesSince, setLines } from '../node-http/headers.ts'
import { asBuffer, readPayload } from '../node-http/payload.ts'
import { serve, type HandlerRun } from '../node-http/serve.ts'
import type { IdempotencyOptions } from '../options.ts'
import { committed } from '../unprotected.ts'

export { idempotencyOf, type Idempotency } from '../context.ts'

const ADVICE =
  'Mount it before the body parser, or keep the bytes as `context.request.rawBody`, as @koa/bodyparser does.'

/** As much of a Koa context as is needed here. */
export interface KoaContext {
  readonly req: IncomingMessage
  readonly res: ServerResponse
  readonly request: object
  readonly originalUrl: string
  readonly headerSent: boolean
  readonly writable: boolean
  onerror?: ((error: Error) => void) | undefined
  respond?: boolean | undefined
  status: number
  message: string
  body: unknown
}

/**
 * Koa middleware that protects everything mounted after it: the same key with the same request runs it once, and
 * everybody who asks again gets the first response. Mount it after authentication and before body parsers.
 *
 * @throws {HoldfastError} `ERR_INVALID_OPTION`
 * @see https://datatracker.ietf.org/doc/draft-ietf-httpapi-idempotency-key-header/
 */
export function idempotency<Context extends KoaContext = KoaContext>(
  options: IdempotencyOptions<Context>,
): (context: Context, next: () => Promise<unknown>) => Promise<void> {
  const engine = new Engine(options)
  return async (context, next) => {
    const { req: request, res: response, originalUrl: target } = context
    const proceed = async (run?: HandlerRun): Promise<void> => {
      if (run === undefined) {
        await next()
        // Koa responds when its middleware has ended: a commit that fails must throw before.
        if (context.respond !== false) await committed(contextOf(context))
        return
      }
      const entry = new HeadersOnEntry(response)
      // Koa destroys a stream that is its body once the socket closes, although its bytes are to be recorded.
      run.hideSocket()
      try {
        ignoreBodyErrors(context)
        await next()
        await settle(context, run, entry)
      } finally {
        // Uncovers `onerror` of the prototype.
        Reflect.deleteProperty(context, 'onerror')
        run.showSocket()
      }
    }
    const answer = (whole: Answer): void => send(context, whole)
    await serve(engine, {
      source: context,
      request,
      response,
      target,
      aliases: [context.request],
      advice: ADVICE,
      proceed,
      answer,
    })
  }
}

/**
 * Koa 2 calls `onerror` and so answers on its own when a body stream breaks. Here that error is ignored, since reading
 * the body throws it, too (as in Koa 3), and the throw gives the key back.
 */
function ignoreBodyErrors(context: KoaContext): void {
  const { onerror } = context
  const value = (error: Error): void => {
    const body: { errored?: unknown } = Object(context.body)
    const isRead = !isEventStream(context.res.getHeader('content-type'))
    if (!isRead || !(error instanceof Error) || body.errored !== error) onerror?.call(context, error)
  }
  Object.defineProperty(context, 'onerror', { value, configurable: true })
}

/** Settles the response before middleware outside changes it. */
async function settle(context: KoaContext, run: HandlerRun, entry: HeadersOnEntry): Promise<void> {
  const { res } = context
  if (context.respond === false || context.headerSent || isEventStream(res.getHeader('content-type'))) return
  const status = sentStatus(context.status)
  const message = hasReason(res) ? context.message : ''
  if (context.body === undefined && !isNullBodyStatus(status)) {
    // Nobody answered: middleware outside may still do so.
    if (status === 404) return
    // As Koa does later; but not where the client has disconnected.
    context.body = message || String(status)
  }
  const { body, unread } = await readPayload(context.body, status, run.maxResponseBytes)
  // A stream that is too long to record is Koa's again, and is destroyed when the client disconnects.
  run.showSocket()
  if (unread !== context.body) context.body = unread
  const headers = linesSince(res, entry)
  const verdict = await run.settle({ status, statusText: message, headers, body })
  if (verdict.type === 'void') throw verdict.error
  if (verdict.type === 'other') {
    entry.restore()
    send(context, verdict.answer)
  } else if (verdict.status !== undefined) res.setHeader('idempotency-status', verdict.status)
}

function send(context: KoaContext, { status, statusText, headers, body }: Answer): void {
  const { res } = context
  context.body = asBuffer(body)
  // Setting `body` has added one.
  res.removeHeader('content-type')
  context.status = status
  if (hasReason(res)) context.message = statusText
  setLines(res, headers)
}
