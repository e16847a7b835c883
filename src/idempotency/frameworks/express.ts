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
import { createStamp } from '../../primitives/stamp.ts'
import { contextOf } from '../context.ts'
import { Engine } from '../engine.ts'
import { serve, type HandlerRun } from '../node-http/serve.ts'
import { keepReadable } from '../node-http/unread.ts'
import type { IdempotencyOptions } from '../options.ts'

export { idempotencyOf, type Idempotency } from '../context.ts'

const ADVICE =
  'Mount it before express.json() and its like, or let them keep the bytes: ' +
  'express.json({ verify: (request, _, bytes) => { request.rawBody = bytes } }).'

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
        keepReadable(request)
      }
      next()
    }
    serve(engine, { source: request, request, response, advice: ADVICE, proceed }).catch((error: unknown) => {
      // oxlint-disable-next-line promise/no-callback-in-promise -- how Express is told of an error
      next(error)
    })
  }
}

const runs = createStamp<HandlerRun>()
const watched = new WeakSet<object>()
/** Stands for "no application": connect, or a router without one, take the same middleware. */
const NO_EXPRESS = {}

/**
 * Learns what handlers throw. Express does not tell middleware, and the error page would be recorded as if the handler
 * had made it. An error passes every remaining `Layer` until an error handler takes it, so the method of that class
 * which handles errors is wrapped, once; one more layer at the end sees errors that the application does not handle.
 *
 * Alternatives that fail: an error middleware for applications to mount would miss what a router's own error handler
 * answers, and be forgotten; the response does not show that it is an error page; the tracing channel of newer routers
 * (`express.router.request`) is missing in Express 4 and early 5, and slows down every request once somebody listens.
 * The wrapped method runs for errors only. Where it is not found, a warning is printed.
 */
function watchErrors(application: unknown): void {
  const app = typeof application === 'function' ? application : NO_EXPRESS
  if (watched.has(app)) return
  watched.add(app)
  // Express 4 has `_router`, and throws where its `router` is read.
  const router: unknown = Reflect.get(app, '_router') ?? Reflect.get(app, 'router')
  const layers: unknown = Reflect.get(Object(router), 'stack')
  const layer: unknown = Array.isArray(layers) ? Object.getPrototypeOf(Object(layers[0])) : undefined
  const use: unknown = Reflect.get(app, 'use')
  // The names in Express 5 and 4.
  const found = ['handleError', 'handle_error'].filter((name) => watchMethod(Object(layer), name))
  if (found.length === 0 || typeof use !== 'function') {
    process.emitWarning(UNKNOWN_EXPRESS, { type: 'HoldfastWarning', code: 'HOLDFAST_UNKNOWN_EXPRESS' })
    return
  }
  Reflect.apply(use, app, [
    (error: unknown, _: unknown, __: unknown, next: (error: unknown) => void) => next(error),
  ])
}

const UNKNOWN_EXPRESS =
  'idempotency() does not know this version of Express, or this is none: what handlers throw is recorded as the response ' +
  'that the error handler makes of it. Give `release` a rule for it.'

function watchMethod(layer: object, name: string): boolean {
  const original: unknown = Reflect.get(layer, name)
  if (typeof original !== 'function') return false
  if (watched.has(original)) return true
  const watching = function (this: unknown, ...args: unknown[]): unknown {
    const run = runs.get(args[1])
    const handle = (): unknown => Reflect.apply(original, this, args)
    if (run === undefined) return handle()
    // Set by connect-timeout: the handler still runs, and a retry must not run it a second time beside that.
    if (Reflect.get(Object(args[1]), 'timedout') === true) contextOf(args[1])?.began()
    // Express closes the connection when an error follows a response: not before that response is recorded and has left.
    return run.takesOver(args[0]) ? undefined : run.afterResponse(handle)
  }
  watched.add(watching)
  Reflect.set(layer, name, watching)
  return true
}
