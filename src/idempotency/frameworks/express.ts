/**
 * Idempotency keys for Express 4 and 5.
 *
 * @module
 * @example
 * import express from 'express'
 * import { idempotency } from 'holdfast/idempotency/express'
 * import { memoryStore } from 'holdfast/stores/memory'
 *
 * const app = express()
 * app.use(idempotency({ store: memoryStore() }))
 * app.use(express.json())
 */
import type { IncomingMessage, ServerResponse } from 'node:http'
import { createStamp } from '../../stamp.ts'
import { Engine } from '../engine.ts'
import { serve, type HandlerRun } from '../node-http/serve.ts'
import type { IdempotencyOptions } from '../options.ts'

export { idempotencyOf, type Idempotency } from '../context.ts'

/** Middleware as Express takes it. */
export type ExpressMiddleware<Req extends IncomingMessage> = (
  request: Req,
  response: ServerResponse,
  next: (error?: unknown) => void,
) => void

/**
 * Express middleware that protects everything mounted after it: the same key with the same request runs it once, and
 * everybody who asks again gets the first response. Mount it after authentication and before body parsers.
 *
 * @throws {HoldfastError} `ERR_INVALID_OPTION`
 * @see https://datatracker.ietf.org/doc/draft-ietf-httpapi-idempotency-key-header/
 */
export function idempotency<Req extends IncomingMessage = IncomingMessage>(
  options: IdempotencyOptions<Req>,
): ExpressMiddleware<Req> {
  const engine = new Engine(options)
  return (request, response, next) => {
    const proceed = (run?: HandlerRun): void => {
      if (run !== undefined) {
        watchErrors(Reflect.get(request, 'app'))
        runs.set(request, run)
      }
      next()
    }
    const target = String(Reflect.get(request, 'originalUrl') ?? request.url)
    serve(engine, { source: request, request, response, target, proceed }).catch((error: unknown) => {
      // oxlint-disable-next-line promise/no-callback-in-promise -- how Express is told of an error
      next(error)
    })
  }
}

const runs = createStamp<HandlerRun>()
const watched = new WeakSet<object>()

/**
 * Express tells middleware nothing of what a later handler threw, and its answer would be saved as if the handler had
 * made it. But whatever was thrown comes past each layer that is left, so the class of the layers is where it is seen.
 * One layer more sees what no handler of the application does.
 */
function watchErrors(app: unknown): void {
  if (typeof app !== 'function' || watched.has(app)) return
  watched.add(app)
  // Express 4 has `_router`, and throws where its `router` is read.
  const router: unknown = Reflect.get(app, '_router') ?? Reflect.get(app, 'router')
  const layers: unknown = Reflect.get(Object(router), 'stack')
  const layer: unknown = Array.isArray(layers) ? Object.getPrototypeOf(Object(layers[0])) : undefined
  for (const name of ['handleError', 'handle_error']) watchMethod(Object(layer), name)
  const use: unknown = Reflect.get(app, 'use')
  if (typeof use !== 'function') return
  Reflect.apply(use, app, [
    (error: unknown, _: unknown, __: unknown, next: (error: unknown) => void) => next(error),
  ])
}

function watchMethod(layer: object, name: string): void {
  const original: unknown = Reflect.get(layer, name)
  if (typeof original !== 'function' || watched.has(original)) return
  const watching = function (this: unknown, ...args: unknown[]): unknown {
    const run = runs.get(args[1])
    if (run !== undefined) run.threw = true
    return Reflect.apply(original, this, args)
  }
  watched.add(watching)
  Reflect.set(layer, name, watching)
}
