import { Engine } from './engine.ts'
import type { IdempotencyOptions } from './options.ts'
import { keepWorkerAlive, serve } from './web/serve.ts'

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
      const response = serve(engine, { source: request, request, handle })
      keepWorkerAlive(rest, response)
      return response
    }
}
