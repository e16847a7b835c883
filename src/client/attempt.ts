import { TimeoutError } from '../errors.ts'
import { isStream, isUsedUp, type RequestBody } from '../http/body.ts'
import { discard } from '../http/discard.ts'
import type { BodyLike, FetchInput, HeadersLike } from '../http/fetch-types.ts'
import { formatKey } from '../http/idempotency-key.ts'
import { cannotBeBuilt } from '../http/usage-error.ts'
import { resultOf, unwrap, type Context, type Outcome } from '../policy.ts'
import { raceAbort, type AbortListener } from '../signal.ts'
import { Returned } from '../stamp.ts'
import {
  callOf,
  eventResult,
  resultFields,
  type BodySource,
  type FetchCall,
  type SentAttempt,
} from './call.ts'
import type { BeforeAttemptInput } from './options.ts'
import { initOf, lacks } from './request.ts'
import { routeOf } from './transport.ts'

/**
 * One attempt: the innermost part of a call's pipeline. One function with one `await` on the usual way, since each
 * further promise takes 100 to 150 ns.
 */
export async function attempt(context: Context): Promise<Response> {
  const call = callOf(context)
  const { scope } = context
  const { beforeAttempt } = call.settings
  let init: RequestInit
  try {
    refuseOldKey(call, context)
    if (call.bodySource !== undefined) await loadBody(call, call.bodySource)
    init = attemptInit(call, context)
    if (beforeAttempt !== undefined) await beforeAttempt(beforeAttemptInput(init.headers as Headers, context))
  } catch (error) {
    // The caller's own body, headers or hook: that is no network failure.
    throw call.local(error)
  }
  if (scope.aborted) throw scope.reason
  call.attempts++
  call.sentHeaders = init.headers
  const tellEnd = tellStart(call, context)
  showAttempt(call, context, init.headers)
  // A listener may have aborted just now.
  if (scope.aborted) throw scope.reason
  let sent: Promise<Response> | undefined
  let outcome: Outcome<Response>
  const attempt = call.sent(scope)
  try {
    // Foreign code: it may throw at once, or return what is no promise.
    sent = Promise.resolve(call.parts.sender.send(inputOf(call), init, call.caller.request))
    // A transport that ignores its signal must not hold up what waits for the attempt's end: to leave that to the
    // attempt's timeout saves 250 ns.
    outcome = { ok: true, value: await (scope.endsAttempt ? sent : raceAbort(scope, sent)) }
  } catch (error) {
    outcome = { ok: false, error }
  }
  attempt.isRunning = false
  if (scope.aborted) {
    // Nobody will read what may still come, and it changes nothing that is known.
    sent?.then(discard, () => {})
    outcome = { ok: false, error: scope.reason }
  } else conclude(call, attempt, init, outcome)
  tellEnd?.(outcome)
  return unwrap(outcome)
}

/**
 * Tells that an attempt has begun. @returns what tells its end: an abort of its scope does so at once, since whatever
 * the transport brings then comes after the call has ended.
 */
function tellStart(call: FetchCall, context: Context): ((outcome: Outcome<Response>) => void) | undefined {
  if (call.watch.onEvent === undefined) return undefined
  const { clock } = call.parts
  const { scope } = context
  const startedMs = clock.now()
  let ended = false
  const tellEnd = (outcome: Outcome<Response>): void => {
    if (ended) return
    ended = true
    scope.remove(listener)
    const durationMs = clock.now() - startedMs
    call.tell({
      type: 'attempt-end',
      ...which(context),
      durationMs,
      ...eventResult(outcome),
      ...(isReplay(call, outcome) ? { replayed: true as const } : {}),
    })
  }
  const listener: AbortListener = { onAbort: () => tellEnd({ ok: false, error: scope.reason }) }
  scope.add(listener)
  call.tell({ type: 'attempt-start', ...which(context) })
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
function refuseOldKey(call: FetchCall, { execution }: Context): void {
  const { idempotency } = call.settings
  if (call.attempts === 0 || idempotency === undefined) return
  if (call.keyLeftMs > 0) return
  const { lastFailure } = execution
  const cause = lastFailure === undefined ? undefined : { cause: resultOf(lastFailure) }
  const message = `the idempotency key is older than ${idempotency.windowMs} ms, so the server may have forgotten it`
  throw new TimeoutError('ERR_TOTAL_TIMEOUT', message, idempotency.windowMs, cause)
}

/** What the transport is given: the caller's own, with what an attempt adds. */
function attemptInit(call: FetchCall, context: Context): RequestInit {
  const { members } = call.caller
  // An interceptor takes the context itself: to leave out its signal saves 250 ns.
  const own = routeOf(members) ? { context } : new AttemptInit(context)
  const init: RequestInit & { duplex?: string } = Object.assign(own, members)
  const headers = attemptHeaders(call)
  if (headers !== undefined) init.headers = headers
  if (call.body === undefined) return init
  const bytes = nextBody(call.body)
  // A stream of ours needs what the platform asks of a caller who passes one.
  if (bytes !== init.body && isStream(bytes)) init.duplex ??= 'half'
  init.body = bytes
  return init
}

/**
 * Reading a signal makes it, which takes 1.5 us: a transport that never looks never pays. The getter is of the object
 * itself, so that a copy has the signal; and one for all of them, since one for each takes 200 to 1000 ns more.
 */
const SIGNAL: PropertyDescriptor = {
  get(this: object) {
    return AttemptInit.contextOf(this)?.signal
  },
  /** A transport may put a signal of its own in the place. */
  set(this: RequestInit, value) {
    AttemptInit.forget(this)
    Object.defineProperty(this, 'signal', { value, writable: true, enumerable: true, configurable: true })
  },
  enumerable: true,
  configurable: true,
}

/** Notes the context on a plain object. A stamp, which shares its code with others, takes 150 ns more. */
class AttemptInit extends Returned {
  #context: Context | undefined

  constructor(context: Context) {
    super(Object.defineProperty({}, 'signal', SIGNAL))
    this.#context = context
  }

  static forget(init: object): void {
    if (#context in init) init.#context = undefined
  }

  static contextOf(init: object): Context | undefined {
    return #context in init ? init.#context : undefined
  }
}

/** The attempt that an init is for: a transport of ours need not have its signal made. */
export const contextOf = (init: RequestInit | undefined): Context | undefined =>
  init && AttemptInit.contextOf(init)

/** Reads it with the first attempt. */
async function loadBody(call: FetchCall, source: BodySource): Promise<void> {
  call.body = await source()
  call.bodySource = undefined
  const reason = call.body?.sentOnce
  if (reason !== undefined && call.settings.retry !== undefined) {
    call.tell({ type: 'body-not-replayable', reason })
  }
}

function nextBody(body: RequestBody): BodyLike | null {
  const bytes = body.next()
  if (isUsedUp(bytes)) throw new TypeError('holdfast.body returned a stream that has been read already')
  return bytes
}

/** The caller's headers with what is added; `undefined` where nothing is. A copy, where somebody may change them. */
function attemptHeaders(call: FetchCall): HeadersLike | undefined {
  const { beforeAttempt, idempotency } = call.settings
  const { key, body, extraHeaders, caller, watch } = call
  const given = caller.init.headers
  const added: [string, string][] = []
  if (body?.contentType !== undefined) added.push(['content-type', body.contentType])
  if (key !== undefined && idempotency !== undefined)
    added.push([idempotency.header, formatKey(key, idempotency.format)])
  if (extraHeaders !== undefined) added.push(...Object.entries(extraHeaders))
  if (beforeAttempt === undefined && watch.onAttempt === undefined) {
    const [first] = added
    if (first === undefined) return undefined
    // `Headers` take 500 ns. What is added comes first: after a spread it takes 400 ns longer.
    if (added.length === 1 && lacks(given, first[0])) return { [first[0]]: first[1], ...(given as object) }
  }
  const headers = new Headers(given)
  for (const [name, value] of added) if (!headers.has(name)) headers.set(name, value)
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
    previous: lastFailure === undefined ? undefined : resultFields(lastFailure as Outcome<Response>),
  }
}

/** What is known after an attempt. */
function conclude(
  call: FetchCall,
  attempt: SentAttempt,
  init: RequestInit,
  outcome: Outcome<Response>,
): void {
  if (outcome.ok) {
    call.answered(outcome.value, attempt.scope)
    // Attempts may run side by side.
    call.sentHeaders = init.headers
  } else if (
    outcome.error instanceof TypeError &&
    cannotBeBuilt(call.caller.address, buildable(call, init))
  ) {
    call.local(outcome.error)
  }
  call.learned(attempt, call.isLocal(outcome) ? 'untouched' : call.verdictOf(outcome).effect)
}

/** The caller's own input; of a URL object that was changed meanwhile, what it said at the call. */
function inputOf({ caller: { input, address } }: FetchCall): FetchInput {
  return input instanceof URL && input.href !== address ? address : input
}

function buildable({ caller: { request } }: FetchCall, init: RequestInit): RequestInit {
  return request === undefined ? init : { ...initOf(request), ...init }
}
