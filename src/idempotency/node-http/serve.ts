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
import { loosen } from './loosen.ts'
import { NodeRequestView, type Incoming } from './request.ts'
import { sendAnswer } from './send-answer.ts'

/** One request and its response, as a framework on node:http has them. */
export interface Exchange<Req extends object> extends Incoming<Req> {
  /** What a developer has to do who mounted the layer where the body has been read already. */
  readonly advice: string
  /** There is no framework outside to answer for an error that is not the handler's. */
  readonly isOutermost?: boolean
  /** Sends a whole response. Default: straight to `response`. */
  answer?(answer: Answer): unknown
  /** Keeps back what the handler sends by the framework's own means; for frameworks that can't take it back. */
  readonly holdReply?: () => HeldResponse
  /** Goes on to the handler; without a run nobody stands between. */
  proceed(run?: HandlerRun): unknown
}

/** What every framework on node:http does with a request. */
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
    context.holdWith(() => together(hold(response, maxResponseBytes), exchange.holdReply?.()))
    attachTo(exchange, context)
    if (screening.ignored) response.setHeader('idempotency-status', 'ignored')
    return exchange.proceed()
  }
  loosen(exchange.request)
  loosen(response)
  const wasEnded = response.writableEnded
  const admission = await engine.admit(view, screening.key).catch((error: unknown) => {
    if (error instanceof RequestGoneError) return undefined
    if (exchange.isOutermost !== true) throw asError(error)
    warnOnce(engine, 'HOLDFAST_IDENTIFICATION_FAILED', `idempotency() answered 500: ${String(error)}`)
    return { type: 'answer' as const, answer: engine.unidentified(view, screening.key, error) }
  })
  if (view.bodyGone) warnOnce(engine, 'HOLDFAST_BODY_UNAVAILABLE', `${BODY_GONE} ${exchange.advice}`)
  if (admission === undefined) return undefined
  // A timeout outside has answered meanwhile: the handler would be run for nobody.
  if (response.writableEnded && !wasEnded)
    return admission.type === 'run' ? admission.execution.cancel() : undefined
  if (admission.type === 'covered') return exchange.proceed()
  if (admission.type === 'answer') return answerTo(exchange, admission.answer)
  attachTo(exchange, admission.execution)
  const run = new HandlerRun(engine.settings, admission.execution, response)
  admission.execution.holdWith(() => together(run.feignEnd(), exchange.holdReply?.()))
  return run.go(() => exchange.proceed(run))
}

/** Nothing is no error to Express, nor the word `route`, and to Koa no reason to answer: both would go past the layer. */
const asError = (error: unknown): unknown =>
  typeof error === 'object' && error !== null ? error : new Error(UNIDENTIFIED, { cause: error })

const UNIDENTIFIED = 'idempotency: a request was not identified, for something was thrown that is no error'

function together(...held: (HeldResponse | undefined)[]): HeldResponse {
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

/** A handler that has been silent for so many leases after its client had left is not going to respond. */
const LEASES_WITHOUT_CLIENT = 10

const BODY_GONE =
  'idempotency() answered 500: the body of a request had been read before it, and was not kept.'

/** A handler under a key of its own, whose response is captured on its way to the socket. */
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

  /** While a transaction runs, who waits in it for the response to be sent is told that it was. */
  feignEnd(): HeldResponse {
    return this.#capture.feignEnd()
  }

  /** For frameworks whose error handler answers for what was thrown: that response is then judged as a throw's. */
  threw(error: unknown): void {
    // An error passes several error handlers.
    const isLate = this.#capture.ended && this.#thrown?.error !== error
    this.#thrown = { error }
    if (isLate) this.threwLate(error)
    if (this.#gone !== undefined) this.#awaitResponse()
  }

  /**
   * As `threw`, where an error handler can be kept from answering. True: it is to be kept, since the response is taken
   * care of; it may have been sent.
   */
  takesOver(error: unknown): boolean {
    this.threw(error)
    const isOurs = error instanceof TransactionLostError
    if (isOurs) void this.#failed(error)
    return isOurs
  }

  /** Once its response is settled, what a handler throws is told and changes nothing. */
  threwLate(error: unknown): void {
    void this.#execution.failLate(error)
  }

  /** Lets an error handler act, once the response has left that the handler had sent before. */
  afterResponse(act: () => unknown): unknown {
    const { leaving } = this.#capture
    return leaving === undefined ? act() : void leaving.then(act)
  }

  get maxResponseBytes(): number {
    return this.#settings.maxResponseBytes
  }

  /** Keeps whoever watches the response's socket from learning that the client is gone, until `showSocket()`. */
  hideSocket(): void {
    this.#capture.hideSocket()
  }

  showSocket(): void {
    this.#capture.showSocket()
  }

  /**
   * For frameworks that have a response of their own, before middleware outside changes it: what then leaves through
   * the socket is sent as it is.
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
   * Where a client is gone a callback may still respond, and keeps its key meanwhile; only when it has been silent for
   * many leases it is taken for lost. Where the handler cut its client off none can, nor where a throw left a response
   * unfinished: no error handler can answer any more, and frameworks then close the connection.
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
