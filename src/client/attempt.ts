import type { Clock } from '../clock.ts'
import { TimeoutError } from '../errors.ts'
import { emit } from '../emit.ts'
import { isStream, isUsedUp, type RequestBody } from '../http/body.ts'
import { discard } from '../http/discard.ts'
import type { BodyLike, FetchInput } from '../http/fetch-types.ts'
import { formatKey } from '../http/idempotency-key.ts'
import { cannotBeBuilt } from '../http/usage-error.ts'
import { resultOf, settled, unwrap, type Context, type Outcome } from '../policy.ts'
import { raceAbort, type AbortListener } from '../signal.ts'
import { callOf, eventResult, resultFields, type FetchCall } from './call.ts'
import type { BeforeAttemptInput } from './options.ts'
import { initOf } from './request.ts'
import type { Sender } from './transport.ts'

/** What sending needs besides the call. */
export interface AttemptParts {
  readonly sender: Sender
  readonly clock: Clock
  /** Told of every response, whatever becomes of it. */
  readonly onResponse: (call: FetchCall, response: Response) => void
}

/** One attempt: the innermost part of a call's pipeline. */
export async function attempt(context: Context, parts: AttemptParts): Promise<Response> {
  const call = callOf(context)
  refuseOldKey(call, context, parts.clock)
  const init = await attemptInit(call, context)
  if (context.scope.aborted) throw context.scope.reason
  call.attempts++
  const tellEnd = tellStart(call, context, parts.clock)
  showAttempt(call, context, init.headers)
  // A listener may have aborted just now.
  if (context.scope.aborted) throw context.scope.reason
  const outcome = await send(call, context, init, parts)
  tellEnd(outcome)
  return unwrap(outcome)
}

/**
 * Tells that an attempt has begun. @returns what tells its end: an abort of its scope does so at once, since whatever
 * the transport brings then comes after the call has ended.
 */
function tellStart(call: FetchCall, context: Context, clock: Clock): (outcome: Outcome<Response>) => void {
  const { onEvent } = call.watch
  if (onEvent === undefined) return () => {}
  const { scope } = context
  const startedMs = clock.now()
  let ended = false
  const tellEnd = (outcome: Outcome<Response>): void => {
    if (ended) return
    ended = true
    scope.remove(listener)
    const durationMs = clock.now() - startedMs
    emit(onEvent, {
      type: 'attempt-end',
      ...which(context),
      durationMs,
      ...eventResult(outcome),
      ...(isReplay(call, outcome) ? { replayed: true as const } : {}),
      call: call.info,
    })
  }
  const listener: AbortListener = { onAbort: () => tellEnd({ ok: false, error: scope.reason }) }
  scope.add(listener)
  emit(onEvent, { type: 'attempt-start', ...which(context), call: call.info })
  return tellEnd
}

/** The API has recognized the key: what it answers is what it answered before. */
const isReplay = ({ keyed }: FetchCall, outcome: Outcome<Response>): boolean =>
  keyed && outcome.ok && outcome.value.headers.get('idempotent-replayed') === 'true'

const which = ({ attempt, isHedge }: Context) => (isHedge ? ({ attempt, hedge: true } as const) : { attempt })

function showAttempt(call: FetchCall, context: Context, headers: RequestInit['headers']): void {
  const { onAttempt } = call.watch
  // Where somebody watches, headers are this attempt's own.
  if (onAttempt !== undefined && headers instanceof Headers)
    onAttempt({ ...which(context), call: call.info, headers })
}

/** A laptop that slept through the backoff wakes with a key that the server may have forgotten. */
function refuseOldKey(call: FetchCall, { execution }: Context, clock: Clock): void {
  const { idempotency } = call.settings
  if (call.attempts === 0 || idempotency === undefined) return
  if (call.keyLeftMs(clock.now(), clock.wallNow()) > 0) return
  const { lastFailure } = execution
  const cause = lastFailure === undefined ? undefined : { cause: resultOf(lastFailure) }
  const message = `the idempotency key is older than ${idempotency.windowMs} ms, so the server may have forgotten it`
  throw call.local(new TimeoutError('ERR_TOTAL_TIMEOUT', message, idempotency.windowMs, cause))
}

async function attemptInit(call: FetchCall, context: Context): Promise<RequestInit> {
  const { holdfast: _own, ...given } = call.caller.init
  const init: RequestInit & { duplex?: string } = given
  const body = await loadBody(call)
  const headers = await attemptHeaders(call, context)
  if (headers !== undefined) init.headers = headers
  call.sentHeaders = init.headers
  if (body !== undefined) {
    const bytes = nextBody(call, body)
    // A stream of ours needs what the platform asks of a caller who passes one.
    if (bytes !== init.body && isStream(bytes)) init.duplex ??= 'half'
    init.body = bytes
  }
  return withSignal(init, context)
}

/** Read with the first attempt. An error of the caller's own body is no network failure. */
async function loadBody(call: FetchCall): Promise<RequestBody | undefined> {
  if (call.body !== undefined) return call.body
  try {
    call.body = await call.bodySource()
  } catch (error) {
    throw call.local(error)
  }
  const reason = call.body?.sentOnce
  if (reason !== undefined && call.settings.retry !== undefined) {
    emit(call.watch.onEvent, { type: 'body-not-replayable', reason, call: call.info })
  }
  return call.body
}

/** `holdfast.body` is the caller's code: what it throws is no network failure. */
function nextBody(call: FetchCall, body: RequestBody): BodyLike | null {
  try {
    const bytes = body.next()
    if (isUsedUp(bytes)) throw new TypeError('holdfast.body returned a stream that has been read already')
    return bytes
  } catch (error) {
    throw call.local(error)
  }
}

/** Reading a signal makes it, which costs: a transport that never looks never pays. */
function withSignal(init: RequestInit, { scope }: Context): RequestInit {
  return {
    ...init,
    get signal() {
      return scope.signal
    },
  }
}

/** A copy of the caller's headers with what is added; `undefined` where nothing is. */
async function attemptHeaders(call: FetchCall, context: Context): Promise<Headers | undefined> {
  const { beforeAttempt, idempotency } = call.settings
  const contentType = call.body?.contentType
  const added = [call.key, contentType, call.extraHeaders, beforeAttempt, call.watch.onAttempt]
  if (added.every((each) => each === undefined)) return undefined
  try {
    const headers = new Headers(call.caller.init.headers)
    if (contentType !== undefined && !headers.has('content-type')) headers.set('content-type', contentType)
    if (call.key !== undefined && idempotency !== undefined && !headers.has(idempotency.header)) {
      headers.set(idempotency.header, formatKey(call.key, idempotency.format))
    }
    for (const [name, value] of Object.entries(call.extraHeaders ?? {})) {
      if (!headers.has(name)) headers.set(name, value)
    }
    await beforeAttempt?.(beforeAttemptInput(headers, context))
    return headers
  } catch (error) {
    throw call.local(error)
  }
}

function beforeAttemptInput(headers: Headers, context: Context): BeforeAttemptInput {
  const { lastFailure } = context.execution
  return {
    attempt: context.attempt,
    headers,
    get signal() {
      return context.signal
    },
    previous: lastFailure === undefined ? undefined : resultFields(lastFailure as Outcome<Response>),
  }
}

async function send(
  call: FetchCall,
  context: Context,
  init: RequestInit,
  { sender, onResponse }: AttemptParts,
): Promise<Outcome<Response>> {
  const { request } = call.caller
  call.sent(context)
  call.underWay++
  const sent = invoke(sender, inputOf(call), init, request)
  // A transport that ignores its signal must not hold up what waits for the attempt's end.
  const outcome = await settled(raceAbort(context.scope, sent))
  call.underWay--
  if (context.scope.aborted) return late(sent, context)
  if (outcome.ok) {
    onResponse(call, outcome.value)
    call.answered(outcome.value, context.scope)
    // Attempts may run side by side.
    call.sentHeaders = init.headers
  } else if (
    outcome.error instanceof TypeError &&
    cannotBeBuilt(call.caller.url.href, buildable(call, init))
  ) {
    call.local(outcome.error)
  }
  call.learned(context, call.isLocal(outcome) ? 'untouched' : call.verdictOf(outcome).effect)
  return outcome
}

/** The caller's own input; of a URL object that was changed meanwhile, what it said at the call. */
function inputOf({ caller: { input, url } }: FetchCall): FetchInput {
  return input instanceof URL && input.href !== url.href ? url.href : input
}

/** `async`, so that a transport which throws before it returns its promise fails like any other. */
async function invoke(sender: Sender, ...request: Parameters<Sender['send']>): Promise<Response> {
  return sender.send(...request)
}

/** The attempt was called off: nobody will read what may still come, and it changes nothing that is known. */
function late(sent: Promise<Response>, { scope }: Context): Outcome<Response> {
  sent.then(discard, () => {})
  return { ok: false, error: scope.reason }
}

function buildable({ caller: { request } }: FetchCall, init: RequestInit): RequestInit {
  return request === undefined ? init : { ...initOf(request), ...init }
}
