/**
 * Idempotency keys for a plain node:http server.
 *
 * @module
 * @example
 * import { createServer } from 'node:http'
 * import { idempotency } from 'holdfast/idempotency/node'
 * import { memoryStore } from 'holdfast/stores/memory'
 *
 * const protect = idempotency({ store: memoryStore() })
 * createServer(protect((request, response) => response.writeHead(201).end('created'))).listen(3000)
 */
import type { IncomingMessage, ServerResponse } from 'node:http'
import { Engine } from '../engine.ts'
import { serve } from '../node-http/serve.ts'
import type { IdempotencyOptions } from '../options.ts'

export { idempotencyOf, type Idempotency } from '../context.ts'

const ADVICE = 'Call it before whatever reads the body, or keep the bytes as `request.rawBody`.'

/** A listener as `http.createServer` takes it; it may be asynchronous. */
export type NodeListener = (request: IncomingMessage, response: ServerResponse) => unknown

/**
 * Protects a node:http listener: the same key with the same request runs it once, and everybody who asks again gets
 * the first response. The listener gets the very same `request` and `response`; the body is still there to be read.
 *
 * What the listener throws goes on as if nobody stood between: the returned promise rejects. What the options `scope`
 * and `fingerprint` throw is answered with a 500 and told by the event `rejected`: here nobody else would.
 *
 * @throws {HoldfastError} `ERR_INVALID_OPTION`
 * @see https://datatracker.ietf.org/doc/draft-ietf-httpapi-idempotency-key-header/
 */
export function idempotency(
  options: IdempotencyOptions<IncomingMessage>,
): (listener: NodeListener) => (request: IncomingMessage, response: ServerResponse) => Promise<void> {
  const engine = new Engine(options)
  return (listener) => async (request, response) => {
    const proceed = (): unknown => listener(request, response)
    await serve(engine, { source: request, request, response, advice: ADVICE, isOutermost: true, proceed })
  }
}
