import type { Clock } from '../primitives/clock.ts'
import { HoldfastError } from '../primitives/errors.ts'
import {
  isPartial,
  isRestOf,
  rangeHeaders,
  representationOf,
  type Representation,
} from '../http/byte-range.ts'
import { discard, discardResult } from '../http/discard.ts'
import { rebuild, type BodyReader, type ByteSource, type ReadResult } from '../http/relay.ts'
import type { Attempts } from '../policies/retry.ts'
import { timeoutBy } from '../policies/timeout.ts'
import { type AttemptBudget, type Context, type Outcome } from '../core/policy.ts'
import { raceAbort, settled } from '../core/work.ts'
import { Scope } from '../primitives/signal.ts'
import { watchBody } from './body-idle.ts'
import { callOf, type FetchCall } from './call.ts'

/**
 * The response, its body going on where it breaks: the rest is asked for as the next attempt of the call, by all the
 * rules of retries. The response as it is where parts would not be sure to fit together.
 */
export function resumable(
  response: Response,
  context: Context,
  attempts: Attempts<Response>,
  clock: Clock,
): Response {
  const call = callOf(context)
  const whole = representationOf(response)
  if (whole === undefined || isPartial(call.caller.init.headers)) return response
  const watched = watchedPart(response, context, clock)
  if (watched.body === null) return response
  call.isBodyWatched = true
  const first: Part = { response: watched, body: watched.body }
  return rebuild(response, first.body, new ResumedBody(first, whole, { call, context, attempts, clock }))
}

interface Parts {
  readonly call: FetchCall
  readonly context: Context
  readonly attempts: Attempts<Response>
  readonly clock: Clock
}

/** What is read from. */
interface Part {
  /** Held, since platforms cancel the body of a response that has been collected. */
  readonly response: Response
  readonly body: NonNullable<Response['body']>
  /** Taken with the first read: until then the platform still frees what is forgotten unread. */
  reader?: BodyReader
}

/** A body out of the bodies of as many responses as it takes. */
class ResumedBody implements ByteSource {
  readonly #whole: Representation
  readonly #parts: Parts
  readonly #budget: Advance | undefined
  #part: Part
  #offset = 0
  /** Time without a response: all of it together is what `totalMs` bounds. */
  #waitedMs: number
  /** The request for the rest, while there is one. */
  #request: Scope | undefined
  #isCancelled = false

  constructor(first: Part, whole: Representation, parts: Parts) {
    const { call, context, clock } = parts
    this.#part = first
    this.#whole = whole
    this.#parts = parts
    this.#budget = context.budget && new Advance(context.budget)
    this.#waitedMs = clock.now() - call.startedMs
  }

  async read(): Promise<ReadResult> {
    for (;;) {
      const outcome = await settled(this.#readPart())
      if (outcome.ok) return outcome.value
      await this.#resume(outcome.error)
    }
  }

  cancel(reason: unknown): Promise<void> {
    this.#isCancelled = true
    this.#request?.abort(reason, 'caller')
    const { body, reader } = this.#part
    // What has just broken can't be cancelled, and need not be.
    return (reader === undefined ? body.cancel(reason) : reader.cancel(reason)).catch(() => {})
  }

  async #readPart(): Promise<ReadResult> {
    const { length } = this.#whole
    const result = await (this.#part.reader ??= this.#part.body.getReader()).read()
    // That ends a read which is waiting.
    if (this.#isCancelled) return { done: true, value: undefined }
    if (!result.done) this.#offset += result.value.byteLength
    const isWrong = result.done ? this.#offset < length : this.#offset > length
    if (isWrong) throw wrongLength(this.#offset, length)
    if (result.done) this.#budget?.repay()
    return result
  }

  /** @throws `cause`, which broke the body, where it can't go on; the caller's own reason where that is why */
  async #resume(cause: unknown): Promise<void> {
    const { call, context, attempts, clock } = this.#parts
    this.#part.reader?.cancel(cause).catch(() => {})
    // What has come to its end, or beyond it, has no rest.
    if (context.scope.aborted || this.#offset >= this.#whole.length) throw cause
    const response = await this.#askForRest(cause)
    const { attempt } = attempts
    const watched = watchedPart(response, context, clock)
    const isRest = isRestOf(response, this.#whole, this.#offset)
    if (this.#isCancelled || !isRest || watched.body === null) {
      discard(response)
      const { status } = response
      // What the retry itself gave up as a failure, it has told of.
      const isTold = valueOf(context.execution.lastFailure) === response
      if (!isRest && !isTold) call.tell({ type: 'give-up', reason: 'final', attempt, status })
      throw cause
    }
    this.#part = { response: watched, body: watched.body }
    call.tell({ type: 'resume', attempt, offsetBytes: this.#offset })
  }

  async #askForRest(cause: unknown): Promise<Response> {
    const { call, context, clock } = this.#parts
    const startedMs = clock.now()
    const request = new Scope(context.scope)
    this.#request = request
    call.extraHeaders = rangeHeaders(this.#whole, this.#offset)
    const work = this.#runWithin(request, cause)
    const outcome = await settled(raceAbort(request, work))
    this.#request = undefined
    this.#waitedMs += clock.now() - startedMs
    if (outcome.ok) return outcome.value
    // It may still come, with nobody to read it.
    work.then(discard, () => {})
    throw context.scope.aborted ? context.scope.reason : cause
  }

  /** The deadline of the call ended with its response: what it left over is what there is. */
  #runWithin(request: Scope, cause: unknown): Promise<Response> {
    const { call, context, attempts, clock } = this.#parts
    const { totalMs } = call.settings
    const fresh = context.within(request, Infinity)
    const paid = this.#budget === undefined ? fresh : fresh.paidFrom(this.#budget)
    const next = (inner: Context): Promise<Response> => attempts.failedLate(cause, inner)
    if (totalMs === undefined) return next(paid)
    const leftMs = Math.max(1, totalMs - this.#waitedMs)
    return timeoutBy({ totalMs: leftMs, clock, discard: discardResult }).wrap(next)(paid)
  }
}

const valueOf = (outcome: Outcome | undefined): unknown => (outcome?.ok ? outcome.value : undefined)

function watchedPart(response: Response, context: Context, clock: Clock): Response {
  const { bodyIdleMs } = callOf(context).settings
  return bodyIdleMs === undefined ? response : watchBody(response, context, bodyIdleMs, clock)
}

function wrongLength(offset: number, length: number): HoldfastError {
  return new HoldfastError('ERR_BODY_LENGTH', `the body should have ${length} bytes, got ${offset}`)
}

/** Pays for the requests for the rest. A service whose bodies break has not served: it is repaid at the body's end. */
class Advance implements AttemptBudget {
  readonly #budget: AttemptBudget
  #taken = 0

  constructor(budget: AttemptBudget) {
    this.#budget = budget
  }

  tryTake(): boolean {
    if (!this.#budget.tryTake()) return false
    this.#taken++
    return true
  }

  giveBack(): void {
    this.#taken--
    this.#budget.giveBack()
  }

  /** An answer is not yet a body. */
  succeeded(): void {}

  repay(): void {
    while (this.#taken > 0) this.giveBack()
  }
}
