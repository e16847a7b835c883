import type { ServerResponse } from 'node:http'
import type { Timer } from '../../primitives/clock.ts'
import type { Answer, HandlerResponse } from '../answer.ts'
import { attach, type Idempotency } from '../context.ts'
import type { Engine } from '../engine.ts'
import type { Execution } from '../execution.ts'
import type { Settings } from '../options.ts'
import { TransactionLostError } from '../transaction.ts'
import type { HeldResponse } from '../held-response.ts'
import type { Thrown, Verdict } from '../verdict.ts'
import { warnOnce } from '../warn.ts'
import { RequestGoneError } from './body.ts'
import { ResponseCapture, type Gone } from './capture.ts'
import { hold } from './hold.ts'
import { toDictionaryMode } from './dictionary-mode.ts'
import { NodeRequestView, type Incoming } from './request.ts'
import { sendAnswer } from './send-answer.ts'

/** One request and its response, as a framework on node:http has them. */
export interface Exchange<Req extends object> extends Incoming<Req> {
  /** The remedy, for the warning that the body had been read before `idempotency()`. */
  readonly advice: string
  /** No framework outside would answer for what `scope` or `fingerprint` throw: it is answered here. */
  readonly isOutermost?: boolean
  /** Sends an answer in the handler's place. Default: straight to `response`. */
  answer?(answer: Answer): unknown
  /** Holds back what the handler sends by the framework's own means, where it does not go through `response` at once. */
  readonly holdReply?: () => HeldResponse
  /** Goes on to the handler; without a `run` the request is unprotected. */
  proceed(run?: HandlerRun): unknown
}

/** Takes a request through the engine; every framework on node:http calls it. */
export async function serve<Req extends object>(
  engine: Engine<Req>,
  exchange: Exchange<Req>,
): Promise<unknown> {
  const { response } = exchange
  const view = new NodeRequestView(exchange)
  const screening = engine.screen(view.method, view.target, view.keyLines)
  if (screening.type === 'refused') return answerTo(exchange, screening.answer)
  if (screening.type === 'unprotected') {
    const { context } = screening
    const { maxResponseBytes } = engine.settings
    context.holdWith(() => heldTogether(hold(response, maxResponseBytes), exchange.holdReply?.()))
    attachTo(exchange, context)
    if (screening.ignored) response.setHeader('idempotency-status', 'ignored')
    return exchange.proceed()
  }
  toDictionaryMode(exchange.request)
  toDictionaryMode(response)
  const wasEnded = response.writableEnded
  const admission = await engine.admit(view, screening.key).catch((error: unknown) => {
    if (error instanceof RequestGoneError) return undefined
    if (exchange.isOutermost !== true) throw asError(error)
    warnOnce(engine, 'HOLDFAST_IDENTIFICATION_FAILED', `idempotency() answered 500: ${String(error)}`)
    return { type: 'answer' as const, answer: engine.unidentified(view, screening.key, error) }
  })
  if (view.bodyGone) warnOnce(engine, 'HOLDFAST_BODY_UNAVAILABLE', `${BODY_GONE} ${exchange.advice}`)
  if (admission === undefined) return undefined
  // A timeout outside has answered meanwhile: nobody would get the handler's response.
  if (response.writableEnded && !wasEnded)
    return admission.type === 'run' ? admission.execution.cancel() : undefined
  if (admission.type === 'covered') return exchange.proceed()
  if (admission.type === 'answer') return answerTo(exchange, admission.answer)
  attachTo(exchange, admission.execution)
  const run = new HandlerRun(engine.settings, admission.execution, response)
  admission.execution.holdWith(() => heldTogether(run.holdForTransaction(), exchange.holdReply?.()))
  return run.go(() => exchange.proceed(run))
}

/** Express takes `next(undefined)` and `next('route')` for no error, Koa a rejection with nothing: the layer would be skipped. */
const asError = (error: unknown): unknown =>
  typeof error === 'object' && error !== null ? error : new Error(UNIDENTIFIED, { cause: error })

const UNIDENTIFIED = 'idempotency: a request was not identified, for something was thrown that is no error'

function heldTogether(...held: (HeldResponse | undefined)[]): HeldResponse {
  return {
    release: () => held.forEach((each) => each?.release()),
    discard: () => held.forEach((each) => each?.discard()),
  }
}

function answerTo<Req extends object>(exchange: Exchange<Req>, answer: Answer): unknown {
  return exchange.answer ? exchange.answer(answer) : sendAnswer(exchange.response, answer)
}

function attachTo<Req extends object>(
  { source, request, aliases = [] }: Exchange<Req>,
  context: Idempotency,
): void {
  for (const object of [source, request, ...aliases]) attach(object, context)
}

/** A handler that has not responded for so many leases after its client disconnected is given up. */
const LEASES_WITHOUT_CLIENT = 10

const BODY_GONE =
  'idempotency() answered 500: the body of a request had been read before it, and was not kept.'

/** One run of a handler under a key, whose response is captured on its way to the socket. */
export class HandlerRun {
  #thrown: Thrown | undefined
  #gone: Gone | undefined
  #timer: Timer | undefined
  readonly #settings: Settings
  readonly #execution: Execution
  readonly #capture: ResponseCapture
  #settled = false

  constructor(settings: Settings, execution: Execution, response: ServerResponse) {
    this.#settings = settings
    this.#execution = execution
    this.#capture = new ResponseCapture(response, settings.maxResponseBytes, (captured) =>
      this.#judge(captured),
    )
  }

  /** Holds the response back while a transaction runs; to the handler it looks sent. */
  holdForTransaction(): HeldResponse {
    return this.#capture.holdForTransaction()
  }

  /** For frameworks whose error handler answers for what was thrown: that response is then judged as a throw's. */
  threw(error: unknown): void {
    // The same error is reported by each error handler that it passes.
    const isLate = this.#capture.ended && this.#thrown?.error !== error
    this.#thrown = { error }
    if (isLate) this.threwLate(error)
    if (this.#gone !== undefined) this.#awaitResponse()
  }

  /**
   * As `threw`, for frameworks whose error handler can be skipped. True: skip it, since this layer answers, or has
   * answered already.
   */
  takesOver(error: unknown): boolean {
    this.threw(error)
    const isOurs = error instanceof TransactionLostError
    if (isOurs) void this.#failed(error)
    return isOurs
  }

  /** For a throw after the response was settled: it is reported (`late-error`) and changes nothing. */
  threwLate(error: unknown): void {
    void this.#execution.failLate(error)
  }

  /** Runs an error handler; not before a response that the handler had sent has left, if there is one. */
  afterResponse(act: () => unknown): unknown {
    const { leaving } = this.#capture
    return leaving === undefined ? act() : void leaving.then(act)
  }

  get maxResponseBytes(): number {
    return this.#settings.maxResponseBytes
  }

  /** Hides the response's socket, so that nobody inside learns that the client has disconnected, until `showSocket()`. */
  hideSocket(): void {
    this.#capture.hideSocket()
  }

  showSocket(): void {
    this.#capture.showSocket()
  }

  /**
   * For frameworks with a response object of their own: settles it before middleware outside changes it. What is then
   * written to the socket is sent as it is.
   */
  async settle(response: HandlerResponse): Promise<Verdict> {
    const verdict = await this.#respond(response)
    this.#settled = verdict.type !== 'void'
    return verdict
  }

  /** Resolves to what `handle` returns, or rejects with what it throws, once the key is settled. */
  async go(handle: (run: this) => unknown): Promise<unknown> {
    const capture = this.#capture
    let value: unknown
    try {
      value = await handle(this)
    } catch (error) {
      if (!(await this.#failed(error))) {
        if (!capture.ended) capture.unshield()
        throw error
      }
    }
    if (!capture.ended) this.#watch()
    return value
  }

  /** Whether the response is taken care of. */
  async #failed(error: unknown): Promise<boolean> {
    this.#capture.noticeLeak()
    const verdict = await this.#execution.fail(error)
    if (verdict?.type !== 'other') return false
    if (!this.#capture.ended) this.#capture.send(verdict.answer)
    return true
  }

  #judge(captured: HandlerResponse): Verdict | Promise<Verdict> {
    return this.#settled ? { type: 'own', status: undefined } : this.#respond(captured)
  }

  #respond(response: HandlerResponse): Verdict | Promise<Verdict> {
    // An error that was answered with a success has been dealt with.
    return this.#execution.respond(response, response.status >= 400 ? this.#thrown : undefined)
  }

  #watch(): void {
    this.#capture.whenGone((how) => {
      this.#gone = how
      this.#awaitResponse()
    })
  }

  /**
   * After the client disconnected a callback may still respond, so its key is kept for many leases. No response can
   * come where the handler destroyed the connection itself, nor where it threw with its head sent: no error handler can
   * answer then, and frameworks close the connection.
   */
  #awaitResponse(): void {
    const { leaseMs, clock } = this.#settings
    const isBroken = this.#thrown !== undefined && this.#capture.read('headersSent') === true
    const mayRespond = this.#gone === 'closed' && !isBroken
    this.#timer?.cancel()
    this.#timer = clock.schedule(() => this.#giveUp(), mayRespond ? LEASES_WITHOUT_CLIENT * leaseMs : 0)
  }

  #giveUp(): void {
    if (this.#capture.ended) return
    this.#capture.unshield()
    void this.#execution.abandon(this.#thrown)
  }
}
