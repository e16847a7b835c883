import { HoldfastError } from '../errors.ts'
import { emit } from '../events.ts'
import { readBody, snapshotBody, type RequestBody } from '../http/body.ts'
import { parseKey } from '../http/idempotency-key.ts'
import { DEFAULTS } from '../defaults.ts'
import { invalidOption } from '../validate.ts'
import { FetchCall } from './call.ts'
import type { CallOptions } from './options.ts'
import { isNoCors, type CallerRequest } from './request.ts'
import type { Settings } from './settings/settings.ts'
import { nextCallId, type ClientState } from './state.ts'

/** Makes a call out of a request: its circuit, its idempotency key, its body. */
export async function prepareCall(
  caller: CallerRequest,
  settings: Settings,
  options: CallOptions,
  { clock }: ClientState,
): Promise<FetchCall> {
  const startedMs = clock.now()
  const startedWallMs = clock.wallNow()
  const circuitKey = circuitKeyOf(caller, settings)
  const key = keyOf(caller, settings, options.idempotencyKey)
  const snapshot = bodyOf(caller, settings, options)
  // Only a form or a Request's body takes time; everything else is on its way in the same turn, as with a bare fetch.
  const body = snapshot instanceof Promise ? await snapshot : snapshot
  const call = new FetchCall({
    id: nextCallId(),
    settings,
    caller,
    circuitKey,
    key,
    body,
    startedMs,
    startedWallMs,
  })
  emit(settings.onEvent, { type: 'call-start', call: call.info })
  if (body?.sentOnce !== undefined) {
    emit(settings.onEvent, { type: 'body-not-replayable', reason: body.sentOnce, call: call.info })
  }
  return call
}

function circuitKeyOf({ url, method }: CallerRequest, { circuitBreaker }: Settings): string {
  const key = circuitBreaker?.key
  if (key === undefined) return url.origin
  const made: unknown = typeof key === 'string' ? key : key({ method, url: url.href })
  if (typeof made !== 'string') throw invalidOption('what circuitBreaker.key() returns', 'a string', made)
  return made
}

/** The caller's own key wins, by header or by option; otherwise one is made where it is honoured. */
function keyOf(caller: CallerRequest, settings: Settings, given: string | undefined): string | undefined {
  const { idempotency } = settings
  if (idempotency === undefined) {
    if (given === undefined) return undefined
    throw invalidOption('holdfast.idempotencyKey', 'left out where idempotency is off', given)
  }
  if (isNoCors(caller)) return undefined
  const header = headersOf(caller)?.get(idempotency.header)
  const own = header === null || header === undefined ? undefined : parseKey(header)
  if (given !== undefined && own !== undefined && given !== own) {
    const message = `the header ${idempotency.header} is "${own}" but holdfast.idempotencyKey is "${given}": give one of them`
    throw new HoldfastError('ERR_INVALID_OPTION', message)
  }
  return given ?? own ?? generatedKey(caller, idempotency)
}

/** Headers that cannot be read cannot be sent either: the transport will say so. */
function headersOf({ init, request }: CallerRequest): Headers | undefined {
  try {
    return init.headers === undefined ? request?.headers : new Headers(init.headers)
  } catch {
    return undefined
  }
}

function generatedKey(
  { method, url }: CallerRequest,
  { methods, honoredBy, generateKey }: NonNullable<Settings['idempotency']>,
): string | undefined {
  if (!methods.has(method)) return undefined
  return honoredBy === undefined || honoredBy.has(url.origin) ? generateKey() : undefined
}

/** The body to send again, or `undefined` where the caller's own can be left alone. */
function bodyOf(
  { init, request, method }: CallerRequest,
  { retry }: Settings,
  options: CallOptions,
): RequestBody | undefined | Promise<RequestBody | undefined> {
  if (options.body !== undefined) return { next: options.body }
  const maxRetries = retry?.options.maxRetries ?? DEFAULTS.retry.maxRetries
  if (retry === undefined || maxRetries === 0 || !retry.methods.has(method)) return undefined
  if (init.body !== undefined && init.body !== null) return snapshotBody(init.body)
  return request === undefined || request.body === null ? undefined : readBody(request, retry.maxBufferBytes)
}
