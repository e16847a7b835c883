import { failed, follow, type Receiver, type Start } from '../core/direct.ts'
import { quietly } from '../core/emit.ts'
import { TimeoutError } from '../primitives/errors.ts'
import { isStream, isUsedUp, telling, type RequestBody } from '../http/body.ts'
import { discard } from '../http/discard.ts'
import type { BodyLike, FetchInput, HeadersLike } from '../http/fetch-types.ts'
import { headersOf } from '../http/headers-of.ts'
import { formatKey } from '../http/idempotency-key.ts'
import { isRefusedByFetch } from '../http/usage-error.ts'
import { causeOf, rejected, type Context, type Outcome } from '../core/policy.ts'
import type { AbortListener, Scope } from '../primitives/signal.ts'
import { rawInit, shown } from './attempt-init.ts'
import {
  callOf,
  eventResult,
  resultFields,
  type BodySource,
  type FetchCall,
  type SentAttempt,
} from './call.ts'
import type { BeforeAttemptInput } from './options.ts'
import { initOf, lacks, STREAMED } from './request.ts'
import { routeOf, type RoutedInit } from './transport.ts'

/**
 * One attempt: the innermost part of a call's pipeline. It waits for a promise of its own only where something has to be
 * read or asked first: each takes 100 to 150 ns.
 */
export const attempt: Start<Response> = (context, receiver) => {
  const call = callOf(context)
  let init: RequestInit
  try {
    refuseOldKey(call, context)
    if (call.bodySource || call.settings.beforeAttempt) {
      prepareInit(call, context).then(
        (made) => new Sending(call, context, made, receiver).begin(),
        (error: unknown) => receiver.end(failed(call.local(error))),
      )
      return
    }
    init = withBody(attemptInit(call, context), call, context)
  } catch (error) {
    // The caller's own body, headers or hook: that is no network failure.
    return receiver.end(failed(call.local(error)))
  }
  new Sending(call, context, init, receiver).begin()
}

async function prepareInit(call: FetchCall, context: Context): Promise<RequestInit> {
  if (call.bodySource) await loadBody(call, call.bodySource, context)
  const init = attemptInit(call, context)
  await call.settings.beforeAttempt?.(beforeAttemptInput(init.headers as Headers, context))
  return withBody(init, call, context)
}

/** An attempt that is handed to the transport: one object, not a closure for each of its parts. */
class Sending implements SentAttempt, AbortListener, Receiver<Response> {
  readonly scope: Scope
  before: SentAttempt | undefined
  isRunning = true
  isOpen = false
  readonly #call: FetchCall
  readonly #context: Context
  readonly #init: RequestInit
  readonly #receiver: Receiver<Response>
  #startedMs = 0

  constructor(call: FetchCall, context: Context, init: RequestInit, receiver: Receiver<Response>) {
    this.scope = context.scope
    this.#call = call
    this.#context = context
    this.#init = init
    this.#receiver = receiver
  }

  begin(): void {
    const { scope } = this
    const call = this.#call
    if (scope.aborted) return this.#receiver.end(failed(scope.reason))
    // A transport that ignores its signal must not hold up what waits for the attempt's end.
    scope.add(this)
    call.attempts++
    call.sentHeaders = this.#init.headers
    call.sentBody = this.#init.body
    this.#tellStart()
    showAttempt(call, this.#context, this.#init.headers)
    // A listener may have aborted just now.
    if (!this.isRunning) return
    call.sent(this)
    follow(answerOf(call, this.#init), this)
  }

  onAbort(): void {
    this.end(failed(this.scope.reason))
  }

  end(outcome: Outcome<Response>): void {
    if (this.isRunning) {
      this.isRunning = false
      this.scope.remove(this)
      this.#end(this.scope.aborted ? outcome : concluded(this.#call, this, this.#init, outcome))
    }
    // It was called off: nobody will read what still comes, and it changes nothing that is known.
    else if (outcome.ok) discard(outcome.value)
  }

  /** Somebody may be told how long it takes. */
  #tellStart(): void {
    const call = this.#call
    if (call.watch.onEvent === undefined) return
    this.#startedMs = call.parts.clock.now()
    call.tell({ type: 'attempt-start', ...which(this.#context) })
  }

  #end(outcome: Outcome<Response>): void {
    const call = this.#call
    if (call.watch.onEvent !== undefined)
      call.tell({
        type: 'attempt-end',
        ...which(this.#context),
        durationMs: call.parts.clock.now() - this.#startedMs,
        ...eventResult(outcome),
        ...(isReplay(call, outcome) && { replayed: true as const }),
      })
    this.#receiver.end(outcome)
  }
}

/** Foreign code: it may throw at once, or return what is no promise. */
function answerOf(call: FetchCall, init: RequestInit): Promise<Response> {
  try {
    const route = routeOf(init)
    const { caller, parts } = call
    return Promise.resolve(
      route === undefined
        ? parts.sender.send(inputOf(call), shown(init), caller.request)
        : route.send(init as RoutedInit),
    )
  } catch (error) {
    return rejected(error)
  }
}

/** The API has recognized the key: what it answers is what it answered before. */
const isReplay = ({ keyed }: FetchCall, outcome: Outcome<Response>): boolean =>
  keyed && outcome.ok && headersOf(outcome.value).get('idempotent-replayed') === 'true'

const which = ({ attempt, isHedge }: Context) => (isHedge ? ({ attempt, hedge: true } as const) : { attempt })

function showAttempt(call: FetchCall, context: Context, headers: RequestInit['headers']): void {
  const { onAttempt } = call.watch
  if (onAttempt === undefined) return
  // Where somebody watches, headers are this attempt's own.
  quietly(() => onAttempt({ ...which(context), call: call.info, headers: headers as Headers }))
}

/** A laptop that slept through the backoff wakes with a key that the server may have forgotten. */
function refuseOldKey(call: FetchCall, { execution }: Context): void {
  const { idempotency } = call.settings
  if (call.attempts === 0 || idempotency === undefined) return
  if (call.keyLeftMs > 0) return
  const message = `the idempotency key is older than ${idempotency.windowMs} ms: the server may forget it`
  throw new TimeoutError('ERR_TOTAL_TIMEOUT', message, idempotency.windowMs, causeOf(execution))
}

/** What is sent: the caller's own, with what an attempt adds. */
function attemptInit(call: FetchCall, context: Context): RequestInit {
  const { members } = call.caller
  // An interceptor takes the context itself.
  const init = routeOf(members) ? Object.assign({ context }, members) : rawInit(context, members)
  const headers = attemptHeaders(call)
  if (headers !== undefined) init.headers = headers
  return init
}

/** The body comes last: a stream that is made for an attempt must not be left open where that is not sent. */
function withBody(init: RequestInit, { body }: FetchCall, { scope }: Context): RequestInit {
  if (body === undefined || scope.aborted) return init
  const bytes = nextBody(body)
  // A stream of ours, where the caller passed none.
  if (bytes !== init.body && isStream(bytes)) Object.assign(init, STREAMED)
  init.body = telling(bytes)
  return init
}

/** Reads it with the first attempt. */
async function loadBody(call: FetchCall, source: BodySource, { scope }: Context): Promise<void> {
  call.body = await source()
  call.bodySource = undefined
  const reason = call.body?.sentOnce
  // The call may have ended meanwhile.
  if (reason && call.settings.retry && !scope.aborted) call.tell({ type: 'body-not-replayable', reason })
}

function nextBody(body: RequestBody): BodyLike | null {
  const bytes = body.next()
  if (isUsedUp(bytes)) throw new TypeError('holdfast.body returned a stream that is used up')
  return bytes
}

/** The caller's headers with what is added; `undefined` where nothing is. A copy, where somebody may change them. */
function attemptHeaders(call: FetchCall): HeadersLike | undefined {
  const { beforeAttempt, idempotency } = call.settings
  const { idempotencyKey, body, extraHeaders, caller, watch } = call
  const given = caller.init.headers
  const type = body?.contentType
  const header = idempotency?.header ?? ''
  const key = idempotency && idempotencyKey && formatKey(idempotencyKey, idempotency.format)
  if (!beforeAttempt && !watch.onAttempt && !extraHeaders && !type) {
    if (!key) return undefined
    // As of most writes. `Headers` take 500 ns, a list of what is added 300 bytes. The key comes first: after a spread it
    // takes 400 ns longer.
    if (lacks(given, header)) return { [header]: key, ...(given as object) }
  }
  const headers = new Headers(given)
  const add = (name: string, value: string | null | undefined): void => {
    if (value && !headers.has(name)) headers.set(name, value)
  }
  add('content-type', type)
  add(header, key)
  for (const name in extraHeaders) add(name, extraHeaders[name])
  return headers
}

function beforeAttemptInput(headers: Headers, context: Context): BeforeAttemptInput {
  const { lastFailure } = context.execution
  return {
    attempt: context.attempt,
    headers,
    get signal() {
      return context.signal
    },
    previous: lastFailure && resultFields(lastFailure as Outcome<Response>),
  }
}

/** What has come of an attempt, and is known after it. */
function concluded(
  call: FetchCall,
  attempt: SentAttempt,
  init: RequestInit,
  outcome: Outcome<Response>,
): Outcome<Response> {
  try {
    if (outcome.ok) {
      call.answered(outcome.value, attempt.scope)
      // Attempts may run side by side.
      call.sentHeaders = init.headers
    } else if (isRefusedByFetch(outcome.error, call.url, buildable(call, init))) call.local(outcome.error)
    call.learned(attempt, call.isLocal(outcome) ? 'untouched' : call.verdictOf(outcome).effect)
    return outcome
  } catch (error) {
    return failed(error)
  }
}

/** The caller's own input; of a URL object that was changed meanwhile, what it said at the call. */
function inputOf({ caller: { input, address } }: FetchCall): FetchInput {
  return input instanceof URL && input.href !== address ? address : input
}

function buildable({ caller: { request } }: FetchCall, init: RequestInit): RequestInit {
  return request === undefined ? init : { ...initOf(request), ...init }
}
