/**
 * Idempotency keys for Hono, on every runtime it has.
 *
 * @module
 * @example
 * import { Hono } from 'hono'
 * import { idempotency } from 'holdfast/idempotency/hono'
 * import { memoryStore } from 'holdfast/stores/memory'
 *
 * const app = new Hono()
 * app.use(idempotency({ store: memoryStore() }))
 */
import { contextOf } from '../context.ts'
import { Engine } from '../engine.ts'
import type { Thrown } from '../verdict.ts'
import type { IdempotencyOptions } from '../options.ts'
import { keepWorkerAlive, serve } from '../web/serve.ts'

export { idempotencyOf, type Idempotency } from '../context.ts'

/** As much of a Hono context as is needed here. */
export interface HonoContext {
  readonly req: { readonly raw: Request }
  readonly finalized: boolean
  readonly error: Error | undefined
  get res(): Response
  set res(response: Response | undefined)
}

/**
 * Hono middleware that protects everything mounted after it: the same key with the same request runs it once, and
 * everybody who asks again gets the first response. Mount it after authentication.
 *
 * @throws {HoldfastError} `ERR_INVALID_OPTION`
 * @see https://datatracker.ietf.org/doc/draft-ietf-httpapi-idempotency-key-header/
 */
export function idempotency<Context extends HonoContext = HonoContext>(
  options: IdempotencyOptions<Context>,
): (context: Context, next: () => Promise<void>) => Promise<Response | undefined> {
  const engine = new Engine(options)
  return async (context, next) => {
    let before: Headers | undefined
    // Lazily: reading `context.res` creates a response, and Hono then copies every later one.
    const entry = (): Headers => (before ??= new Headers(context.res.headers))
    const handle = async (): Promise<Response> => {
      await next()
      // Hono checks this later, but not once `context.res` has been read, which creates a response.
      if (!context.finalized) throw new Error(NO_RESPONSE)
      const { error, res } = context
      if (!isTimeout(error)) return res
      // The handler still runs, or its response came too late: a retry must not run it again.
      contextOf(context)?.began()
      // A locked body is being sent: by a timeout outside, which answered meanwhile.
      return res.body?.locked === true ? error.getResponse() : res
    }
    const thrown = (): Thrown | undefined => (context.error ? { error: context.error } : undefined)
    const work = serve(engine, { source: context, request: context.req.raw, handle, entry, thrown })
    keepWorkerAlive(waitersOf(context), work)
    const response = await work
    if (!context.finalized) {
      // Nothing ran. Reading the entry headers makes Hono add what middleware outside has set.
      entry()
      return response
    }
    if (context.res !== response) replace(context, response, before ?? new Headers())
    return undefined
  }
}

const NO_RESPONSE = 'The handler has returned no Response: did it forget `return`, or `await next()`?'

/** What `hono/timeout` throws by default: an `HTTPException` of its own making. */
function isTimeout(error: Error | undefined): error is Error & { getResponse(): Response } {
  const isTold = error?.message === 'Gateway Timeout' && Reflect.get(error, 'status') === 504
  return isTold && 'getResponse' in error && typeof error.getResponse === 'function'
}

/** Replaces the response; set directly, Hono would merge the discarded one's headers into it. */
function replace(context: HonoContext, response: Response, entry: Headers): void {
  context.res = undefined
  const own = new Set(response.headers.keys())
  for (const [name, value] of entry) if (!own.has(name)) response.headers.append(name, value)
  context.res = response
}

/** Only workers have one; elsewhere Hono throws where it is read. */
function waitersOf(context: HonoContext): unknown[] {
  try {
    return [Reflect.get(context, 'executionCtx')]
  } catch {
    return []
  }
}
