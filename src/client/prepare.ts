import { HoldfastError } from '../errors.ts'
import { emit } from '../emit.ts'
import { readBody, snapshotBody } from '../http/body.ts'
import type { BodyLike } from '../http/fetch-types.ts'
import { checkKey, parseKey } from '../http/idempotency-key.ts'
import { isNoCors } from '../http/response-cache.ts'
import { invalidOption } from '../validate.ts'
import { FetchCall, type BodySource, type Watch } from './call.ts'
import type { CallOptions, RequestInfoOf } from './options.ts'
import type { CallerRequest } from './request.ts'
import type { RetrySettings, Settings } from './settings/settings.ts'
import { nextCallId, type ClientState } from './state.ts'

/** Makes a call out of a request: its circuit, its idempotency key, its body. Everything is taken as it is now. */
export function prepareCall(
  caller: CallerRequest,
  settings: Settings,
  options: CallOptions,
  watch: Watch,
  { clock }: ClientState,
): FetchCall {
  const key = keyOf(caller, settings, options.idempotencyKey)
  const call = new FetchCall({
    id: nextCallId(),
    settings,
    watch,
    caller,
    ...keysOf(caller, settings),
    key,
    body: bodySource(caller, settings, options, key !== undefined),
    startedMs: clock.now(),
    startedWallMs: clock.wallNow(),
  })
  emit(watch.onEvent, { type: 'call-start', call: call.info })
  return call
}

function keysOf({ url, method }: CallerRequest, { circuitBreaker, hedge }: Settings) {
  const request = { method, url: url.href }
  const circuitKey = madeKey('circuitBreaker.key', circuitBreaker?.key, request) ?? url.origin
  return { circuitKey, hedgeKey: madeKey('hedge.key', hedge?.key, request) ?? circuitKey }
}

function madeKey(
  name: string,
  key: string | ((request: RequestInfoOf) => string) | undefined,
  request: RequestInfoOf,
): string | undefined {
  const made: unknown = typeof key === 'function' ? key(request) : key
  if (key === undefined || typeof made === 'string') return made as string | undefined
  throw invalidOption(`what ${name}() returns`, 'a string', made)
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
  // An empty header is the caller's way of saying: no key.
  if (own === '') return undefined
  return given ?? own ?? generatedKey(caller, idempotency)
}

function checkedKey(key: unknown): string {
  checkKey('what idempotency.generateKey() returns', key)
  return key
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
  return honoredBy === undefined || honoredBy.has(url.origin) ? checkedKey(generateKey()) : undefined
}

function bodySource(
  { init, request, method }: CallerRequest,
  { retry }: Settings,
  options: CallOptions,
  keyed: boolean,
): BodySource {
  const { body: factory } = options
  if (factory !== undefined) return () => ({ next: () => checkedBody(factory()) })
  const mayRepeat = retry !== undefined && canRepeat(retry, method, keyed)
  if (init.body !== undefined && init.body !== null) {
    const snapshot = snapshotBody(init.body)
    // Awaited later; until then a failure to read it is nobody's surprise.
    if (snapshot instanceof Promise) snapshot.catch(() => {})
    return () => snapshot
  }
  if (request === undefined || request.body === null) return () => undefined
  return mayRepeat ? () => readBody(request, retry.maxBufferBytes) : () => undefined
}

/** Whether anything could lead to another attempt: then the body has to be kept. */
function canRepeat(
  { maxRetries, methods, shouldRetry }: RetrySettings,
  method: string,
  keyed: boolean,
): boolean {
  return (maxRetries > 0 || keyed) && (methods.has(method) || shouldRetry !== undefined)
}

function checkedBody(body: unknown): BodyLike {
  if (body instanceof Promise) throw invalidOption('what holdfast.body returns', 'a body', 'a promise')
  return body as BodyLike
}
