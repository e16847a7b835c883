import type { Clock } from '../clock.ts'
import { TimeoutError } from '../errors.ts'
import { emit } from '../events.ts'
import { isStream } from '../http/body.ts'
import { discard } from '../http/discard.ts'
import type { BodyLike } from '../http/fetch-types.ts'
import { formatKey } from '../http/idempotency-key.ts'
import { cannotBeBuilt } from '../http/usage-error.ts'
import { resultOf, settled, type Context, type Outcome } from '../policy.ts'
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
  const { onEvent } = call.settings
  const startedMs = parts.clock.now()
  call.attempts++
  const { attempt } = context
  emit(onEvent, { type: 'attempt-start', attempt, call: call.info })
  const outcome = await send(call, context, init, parts)
  emit(onEvent, {
    type: 'attempt-end',
    attempt,
    durationMs: parts.clock.now() - startedMs,
    ...eventResult(outcome),
    call: call.info,
  })
  if (!outcome.ok) throw outcome.error
  return outcome.value
}

/** A laptop that slept through the backoff wakes with a key that the server may have forgotten. */
function refuseOldKey(call: FetchCall, { execution }: Context, clock: Clock): void {
  const { idempotency } = call.settings
  if (call.attempts === 0 || idempotency === undefined) return
  if (!call.keyHasExpired(clock.now(), clock.wallNow())) return
  const { lastFailure } = execution
  const cause = lastFailure === undefined ? undefined : { cause: resultOf(lastFailure) }
  const message = `the idempotency key is older than ${idempotency.windowMs} ms, so the server may have forgotten it`
  throw call.local(new TimeoutError('ERR_TOTAL_TIMEOUT', message, idempotency.windowMs, cause))
}

async function attemptInit(call: FetchCall, context: Context): Promise<RequestInit> {
  const { holdfast: _own, ...given } = call.caller.init
  const init: RequestInit = given
  const headers = await attemptHeaders(call, context)
  if (headers !== undefined) init.headers = headers
  if (call.body !== undefined) setBody(init, call)
  return withSignal(init, context)
}

function setBody(init: RequestInit & { duplex?: string }, call: FetchCall): void {
  const body = makeBody(call)
  // A stream of ours needs what the platform asks of a caller who passes one.
  if (body !== init.body && isStream(body)) init.duplex ??= 'half'
  init.body = body
}

/** `holdfast.body` is the caller's code: what it throws is no network failure. */
function makeBody(call: FetchCall): BodyLike | null {
  try {
    return call.body?.next() ?? null
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
  if (call.key === undefined && contentType === undefined && beforeAttempt === undefined) return undefined
  try {
    const headers = new Headers(call.caller.init.headers ?? call.caller.request?.headers)
    if (contentType !== undefined && !headers.has('content-type')) headers.set('content-type', contentType)
    if (call.key !== undefined && idempotency !== undefined && !headers.has(idempotency.header)) {
      headers.set(idempotency.header, formatKey(call.key, idempotency.format))
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
  const { input, request } = call.caller
  const before = call.uncertain
  // From here until an answer nobody knows what has become of a write.
  call.uncertain = call.changesState
  const outcome = await settled(invoke(sender, input, init, request))
  if (context.scope.aborted) return late(outcome, context)
  if (outcome.ok) {
    onResponse(call, outcome.value)
    call.lastScope = context.scope
  } else if (
    outcome.error instanceof TypeError &&
    cannotBeBuilt(call.caller.url.href, buildable(call, init))
  ) {
    call.local(outcome.error)
  }
  const { effect } = call.verdictOf(outcome)
  if (effect === 'answered') call.uncertain = false
  else if (effect === 'untouched' || call.isLocal(outcome)) call.uncertain = before
  return outcome
}

/** `async`, so that a transport which throws before it returns its promise fails like any other. */
async function invoke(sender: Sender, ...request: Parameters<Sender['send']>): Promise<Response> {
  return sender.send(...request)
}

/** The attempt was called off before this came: nobody will read it, and it changes nothing that is known. */
function late(outcome: Outcome<Response>, { scope }: Context): Outcome<Response> {
  if (outcome.ok) discard(outcome.value)
  return { ok: false, error: scope.reason }
}

function buildable({ caller: { request } }: FetchCall, init: RequestInit): RequestInit {
  return request === undefined ? init : { ...initOf(request), ...init }
}
