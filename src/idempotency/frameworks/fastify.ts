/**
 * Idempotency keys for Fastify.
 *
 * @module
 * @example
 * import fastify from 'fastify'
 * import { idempotency } from 'holdfast/idempotency/fastify'
 * import { memoryStore } from 'holdfast/stores/memory'
 *
 * const app = fastify()
 * app.register(idempotency({ store: memoryStore() }))
 */
import type { IncomingMessage, OutgoingHttpHeader, ServerResponse } from 'node:http'
import { isEventStream, type Answer } from '../answer.ts'
import { contextOf } from '../context.ts'
import { Engine } from '../engine.ts'
import type { HeldResponse } from '../held-response.ts'
import { reasonOf, sentStatus, setReason } from '../node-http/node-behaviour.ts'
import { HeadersOnEntry, linesSince, setLines, type HeaderHolder } from '../node-http/headers.ts'
import { asBuffer, readPayload } from '../node-http/payload.ts'
import { serve, type HandlerRun } from '../node-http/serve.ts'
import type { IdempotencyOptions } from '../options.ts'
import { Unprotected } from '../unprotected.ts'
import { createStamp } from '../../primitives/stamp.ts'

export { idempotencyOf, type Idempotency } from '../context.ts'

const ADVICE = 'Register it before whatever reads the body in an onRequest hook.'

/** As much of a Fastify request as is needed here. */
export interface FastifyRequest {
  readonly raw: IncomingMessage
  readonly originalUrl: string
}

/** As much of a Fastify reply as is needed here. */
export interface FastifyReply {
  readonly raw: ServerResponse
  readonly statusCode: number
  readonly log: { warn(details: object, message: string): void }
  send(payload?: unknown): unknown
  hijack(): unknown
  code(statusCode: number): unknown
  header(name: string, value: unknown): unknown
  removeHeader(name: string): unknown
  getHeaders(): Readonly<Record<string, OutgoingHttpHeader | undefined>>
}

/** As much of a Fastify instance as is needed here. */
export interface FastifyHooks<Request, Reply> {
  addHook(name: 'onRequest', hook: (request: Request, reply: Reply) => Promise<unknown>): unknown
  addHook(name: 'onError', hook: (request: Request, reply: Reply, error: unknown) => Promise<void>): unknown
  addHook(
    name: 'onSend',
    hook: (request: Request, reply: Reply, payload: unknown, done: SendDone) => unknown,
  ): unknown
}

type SendDone = (error: null, payload: unknown) => void

interface Running {
  readonly run: HandlerRun
  readonly holder: HeaderHolder
  readonly entry: HeadersOnEntry
}

const ALREADY_SENT = 'Reply was already sent, did you forget to "return reply"?'

const running = createStamp<Running>()
const answered = createStamp<Answer>()
/** Replies whose `send` ignores a second, empty payload; calling the value ends that. */
const muted = createStamp<() => void>()

/**
 * A Fastify plugin that protects the routes of the scope it is registered in: the same key with the same request runs
 * the handler once, and everybody who asks again gets the first response. Register it after authentication.
 *
 * @throws {HoldfastError} `ERR_INVALID_OPTION`
 * @see https://datatracker.ietf.org/doc/draft-ietf-httpapi-idempotency-key-header/
 */
export function idempotency<Request extends FastifyRequest = FastifyRequest>(
  options: IdempotencyOptions<Request>,
): (instance: FastifyHooks<Request, FastifyReply>) => Promise<void> {
  const engine = new Engine(options)
  const plugin = async (instance: FastifyHooks<Request, FastifyReply>): Promise<void> => {
    instance.addHook('onRequest', (request, reply) => enter(engine, request, reply))
    // Called before an error handler makes a response of what was thrown.
    instance.addHook('onError', async (request, reply, error) => {
      // After a timeout the handler still runs: a retry must not run it a second time beside that.
      if (Reflect.get(Object(error), 'code') === 'FST_ERR_HANDLER_TIMEOUT') contextOf(request)?.began()
      // An error handler may send an empty response.
      muted.get(reply)?.()
      running.get(reply)?.run.threw(error)
    })
    instance.addHook('onSend', (request, reply, payload, done) => {
      const leaving = leave(request, reply, payload)
      if (leaving instanceof Promise) return leaving
      // Without a promise, so that what has nothing to wait for is sent in the same tick as without this layer.
      done(null, leaving)
      return undefined
    })
  }
  // The hooks are for the scope that registers the plugin, not for one of its own.
  return Object.assign(plugin, {
    [Symbol.for('skip-override')]: true,
    [Symbol.for('fastify.display-name')]: 'holdfast-idempotency',
  })
}

async function enter<Request extends FastifyRequest>(
  engine: Engine<Request>,
  request: Request,
  reply: FastifyReply,
): Promise<unknown> {
  const { raw, originalUrl: target } = request
  const answer = (whole: Answer): unknown => {
    answered.set(reply, whole)
    setAnswer(reply, holderOf(reply), whole)
    return reply.send(asBuffer(whole.body))
  }
  let goesOn = false
  const proceed = (run?: HandlerRun): void => {
    goesOn = true
    if (run !== undefined) watch(reply, run)
  }
  const response = reply.raw
  await serve(engine, {
    source: request,
    request: raw,
    response,
    target,
    advice: ADVICE,
    holdReply: () => held(reply),
    proceed,
    answer,
  })
  if (goesOn) return undefined
  // The client disconnected while it was sending; without `hijack` Fastify would run the handler with half a body.
  if (answered.get(reply) === undefined) reply.hijack()
  // Returning the reply tells Fastify that the hook has answered.
  return reply
}

function watch(reply: FastifyReply, run: HandlerRun): void {
  const holder = holderOf(reply)
  running.set(reply, { run, holder, entry: new HeadersOnEntry(holder) })
}

/**
 * Holds back what a handler sends until its transaction has ended: Fastify can't take a sent response back. `then` is
 * replaced as well, since a `fn` that returns the reply would await the response, which waits for `fn`.
 */
function held(reply: FastifyReply): HeldResponse {
  const { statusCode, raw } = reply
  const reason = reasonOf(raw)
  const entry = new HeadersOnEntry(holderOf(reply))
  let sent: unknown[] | undefined
  reply.send = (...args) => {
    if (sent === undefined || args[0] instanceof Error) sent = args
    return reply
  }
  Reflect.set(reply, 'then', (fulfilled: () => void) => fulfilled())
  const end = (): void => {
    Reflect.deleteProperty(reply, 'send')
    Reflect.deleteProperty(reply, 'then')
  }
  return {
    release() {
      end()
      if (sent === undefined) return
      const args = sent
      sent = undefined
      reply.send(...args)
      // Fastify also sends what the handler resolves to: `undefined`, where it did not return the reply.
      const send = reply.send.bind(reply)
      reply.send = (...more) => (more[0] === undefined ? reply : send(...more))
      muted.set(reply, () => Reflect.deleteProperty(reply, 'send'))
    },
    discard() {
      end()
      if (sent === undefined) return
      sent = undefined
      entry.restore()
      reply.code(statusCode)
      setReason(raw, reason)
    },
  }
}

/** `onSend`: settles the payload before later hooks change it. @returns the payload to go on with */
function leave(request: object, reply: FastifyReply, payload: unknown): unknown {
  if (answered.get(reply)?.headers.some(([name]) => name === 'content-type') === false) {
    // The recorded response had none; Fastify has added one.
    reply.removeHeader('content-type')
  }
  const found = running.get(reply)
  const context = contextOf(request)
  if (found === undefined && context instanceof Unprotected && context.used) {
    return onlySend(reply, async () => {
      await context.committed()
      return payload
    })
  }
  if (found === undefined || payload instanceof Response || isEventStream(reply.getHeaders()['content-type']))
    return payload
  const { run } = found
  return onlySend(
    reply,
    () => settle(reply, found, payload),
    (error) => run.threwLate(error),
  )
}

async function settle(
  reply: FastifyReply,
  { run, holder, entry }: Running,
  payload: unknown,
): Promise<unknown> {
  const status = sentStatus(reply.statusCode)
  const headers = linesSince(holder, entry)
  const { body, unread } = await readPayload(payload, status, run.maxResponseBytes)
  const verdict = await run.settle({ status, statusText: reasonOf(reply.raw) ?? '', headers, body })
  if (verdict.type === 'void') throw verdict.error
  if (verdict.type === 'own') {
    if (verdict.status !== undefined) reply.header('idempotency-status', verdict.status)
    // The handler may have set another one meanwhile, for a second response.
    if (reply.statusCode !== status) reply.code(status)
    // The stream became a Buffer, for which Fastify sets content-length: clients refuse a message with both.
    if (body !== undefined && unread !== payload) reply.removeHeader('transfer-encoding')
    return unread
  }
  entry.restore()
  setAnswer(reply, holder, verdict.answer)
  return asBuffer(verdict.answer.body)
}

/**
 * Makes `send` ignore further payloads while a response waits for `work`. Fastify knows a response as sent only once it
 * has left, and would also send the error of a handler that throws after it has responded.
 *
 * @param onError - called with such an error
 */
async function onlySend(
  reply: FastifyReply,
  work: () => Promise<unknown>,
  onError: (error: Error) => void = () => {},
): Promise<unknown> {
  const send = reply.send.bind(reply)
  const errors: Error[] = []
  let waits = true
  const onlyOne: FastifyReply['send'] = (...args) => {
    const [later] = args
    if (!waits) return send(...args)
    // Fastify also sends what a handler resolves to: `undefined` is no second response.
    if (later !== undefined) reply.log.warn(later instanceof Error ? { err: later } : {}, ALREADY_SENT)
    if (later instanceof Error) errors.push(later)
    return reply
  }
  reply.send = onlyOne
  try {
    const payload = await work()
    for (const error of errors) onError(error)
    return payload
  } finally {
    waits = false
    if (reply.send === onlyOne) Reflect.deleteProperty(reply, 'send')
  }
}

function setAnswer(reply: FastifyReply, holder: HeaderHolder, { status, statusText, headers }: Answer): void {
  reply.code(status)
  setReason(reply.raw, statusText)
  setLines(holder, headers)
}

function holderOf(reply: FastifyReply): HeaderHolder {
  return {
    getHeaders: () => reply.getHeaders(),
    setHeader: (name, value) => reply.header(name, value),
    removeHeader: (name) => reply.removeHeader(name),
  }
}
