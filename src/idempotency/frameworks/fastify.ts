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
/** Replies that take no second, empty answer; how to end that. */
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
    // What is thrown comes by before an error handler makes a response of it.
    instance.addHook('onError', async (request, reply, error) => {
      // The handler goes on, and must not be done again beside itself.
      if (Reflect.get(Object(error), 'code') === 'FST_ERR_HANDLER_TIMEOUT') contextOf(request)?.began()
      // An error handler may well answer with nothing.
      muted.get(reply)?.()
      running.get(reply)?.run.threw(error)
    })
    instance.addHook('onSend', (request, reply, payload, done) => {
      const leaving = leave(request, reply, payload)
      if (leaving instanceof Promise) return leaving
      // At once: what has nothing to wait for is sent when Fastify would send it.
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
  // The client left as it was sending, and Fastify would handle what there is.
  if (answered.get(reply) === undefined) reply.hijack()
  // The sign that the hook has answered.
  return reply
}

function watch(reply: FastifyReply, run: HandlerRun): void {
  const holder = holderOf(reply)
  running.set(reply, { run, holder, entry: new HeadersOnEntry(holder) })
}

/**
 * Keeps what a handler sends until its transaction has ended: of two responses Fastify would send both. Who returns the
 * reply inside would wait for what waits for him.
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
      // What a handler resolves to would be sent too, and is nothing where it should have been the reply.
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

/** What leaves through the socket may have been changed by later hooks; the record is of what is here. */
function leave(request: object, reply: FastifyReply, payload: unknown): unknown {
  if (answered.get(reply)?.headers.some(([name]) => name === 'content-type') === false) {
    // Fastify has guessed one.
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
    // Who meant to send another one has perhaps set it.
    if (reply.statusCode !== status) reply.code(status)
    // Fastify states the length of what is no stream any more, and both at once are no message that a client takes.
    if (body !== undefined && unread !== payload) reply.removeHeader('transfer-encoding')
    return unread
  }
  entry.restore()
  setAnswer(reply, holder, verdict.answer)
  return asBuffer(verdict.answer.body)
}

/**
 * While a response waits for `work` it counts as sent. Fastify only knows it as sent once it has left, and would send
 * another one as well: the error of a handler that throws after it has responded.
 *
 * @param onError - hears of that
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
    // Fastify sends what a handler resolves to, also where that is nothing.
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
