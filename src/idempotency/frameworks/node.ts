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
import { attach } from '../context.ts'
import { Engine } from '../engine.ts'
import type { Execution } from '../execution.ts'
import { RequestGoneError } from '../node-http/body.ts'
import { ResponseCapture, sendAnswer } from '../node-http/capture.ts'
import { NodeRequestView } from '../node-http/request.ts'
import type { IdempotencyOptions } from '../options.ts'

export { idempotencyOf, type Idempotency } from '../context.ts'

/** A listener as `http.createServer` takes it; it may be asynchronous. */
export type NodeListener = (request: IncomingMessage, response: ServerResponse) => unknown

/**
 * Protects a node:http listener: the same key with the same request runs it once, and everybody who asks again gets
 * the first response. The listener gets the very same `request` and `response`; the body is still there to be read.
 *
 * What the listener throws goes on as if nobody stood between: the returned promise rejects.
 *
 * @throws {HoldfastError} `ERR_INVALID_OPTION`
 * @see https://datatracker.ietf.org/doc/draft-ietf-httpapi-idempotency-key-header/
 */
export function idempotency(
  options: IdempotencyOptions<IncomingMessage>,
): (listener: NodeListener) => (request: IncomingMessage, response: ServerResponse) => Promise<void> {
  const engine = new Engine(options)
  return (listener) => (request, response) => handle(engine, listener, request, response)
}

async function handle(
  engine: Engine<IncomingMessage>,
  listener: NodeListener,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  const view = new NodeRequestView(request, request)
  const screening = engine.screen(view.method, view.target, view.keyLines)
  if (screening.type === 'refused') return sendAnswer(response, screening.answer)
  if (screening.type === 'unprotected') {
    attach(request, screening.context)
    if (screening.ignored) response.setHeader('idempotency-status', 'ignored')
    await listener(request, response)
    return
  }
  const admission = await engine.admit(view, screening.key).catch(goneAsUndefined)
  if (admission === undefined) return
  if (admission.type === 'answer') return sendAnswer(response, admission.answer)
  attach(request, admission.execution)
  await run(engine, admission.execution, () => listener(request, response), response)
}

function goneAsUndefined(error: unknown): undefined {
  if (!(error instanceof RequestGoneError)) throw error
}

async function run(
  engine: Engine<IncomingMessage>,
  execution: Execution,
  listen: () => unknown,
  response: ServerResponse,
): Promise<void> {
  const { maxResponseBytes, leaseMs, clock } = engine.settings
  const capture = new ResponseCapture(response, maxResponseBytes, (captured) => execution.respond(captured))
  try {
    await listen()
  } catch (error) {
    const verdict = await execution.fail(error)
    if (verdict?.type !== 'other') {
      if (!capture.ended) capture.unshield()
      throw error
    }
    if (!capture.ended) capture.send(verdict.answer)
  }
  if (capture.ended) return
  // Where a client is gone a callback may still respond, within a lease; where the handler cut it off none can.
  capture.whenGone((how) => {
    clock.schedule(() => giveUp(execution, capture), how === 'closed' ? leaseMs : 0)
  })
}

function giveUp(execution: Execution, capture: ResponseCapture): void {
  if (capture.ended) return
  capture.unshield()
  void execution.abandon()
}
