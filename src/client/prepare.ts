import { readBody, snapshotBody, type RequestBody } from '../http/body.ts'
import type { BodyLike } from '../http/fetch-types.ts'
import { parseKey } from '../http/idempotency-key.ts'
import { isNoCors } from '../http/response-cache.ts'
import { invalidOption } from '../primitives/validate.ts'
import { FetchCall, type CallParts, type Watch } from './call.ts'
import type { CallOptions } from './options.ts'
import { lacks, type CallerRequest } from './request.ts'
import type { RetrySettings, Settings } from './settings/settings.ts'

/** Makes a call out of a request: its circuit, its idempotency key, its body. Everything is taken as it is now. */
export function prepareCall(
  caller: CallerRequest,
  settings: Settings,
  { idempotencyKey, body }: CallOptions,
  watch: Watch,
  parts: CallParts,
): FetchCall {
  const call = new FetchCall(caller, settings, watch, parts, keyOf(caller, settings, idempotencyKey))
  takeBody(call, body)
  call.tell({ type: 'call-start' })
  return call
}

/** The caller's own key wins, by header or by option; otherwise one is made where it is honoured. */
function keyOf(caller: CallerRequest, settings: Settings, given: string | undefined): string | undefined {
  const { idempotency } = settings
  if (idempotency === undefined) {
    if (given === undefined) return undefined
    throw invalidOption('holdfast.idempotencyKey', 'left out where idempotency is off', given)
  }
  if (isNoCors(caller)) return undefined
  const own = ownKey(caller, idempotency.header)
  if (given !== undefined && own !== undefined && given !== own)
    throw invalidOption('holdfast.idempotencyKey', `"${own}" as in the header`, given)
  // An empty header is the caller's way of saying: no key.
  if (own === '') return undefined
  return given ?? own ?? generatedKey(caller, idempotency)
}

/** Headers that cannot be read cannot be sent either: the transport will say so. */
function ownKey({ init, members }: CallerRequest, name: string): string | undefined {
  if (lacks(init.headers, name)) return undefined
  try {
    const headers = new Headers(init.headers)
    const value = headers.get(name)
    if (value === '') {
      // No key is sent by no header.
      headers.delete(name)
      init.headers = members.headers = headers
    }
    return value === null ? undefined : parseKey(value)
  } catch {
    return undefined
  }
}

function generatedKey(
  { method, origin }: CallerRequest,
  { methods, honoredBy, generateKey }: NonNullable<Settings['idempotency']>,
): string | undefined {
  if (!methods.has(method)) return undefined
  return honoredBy === undefined || honoredBy.has(origin) ? generateKey() : undefined
}

function takeBody(call: FetchCall, factory: CallOptions['body']): void {
  const { init, request, method } = call.caller
  const { retry } = call.settings
  // Text stays what it is wherever it lies: to leave it there saves 300 ns.
  const isText = typeof init.body === 'string' && request === undefined
  if (factory !== undefined) call.body = madeBy(factory)
  else if (init.body !== undefined && init.body !== null && !isText) {
    const snapshot = snapshotBody(init.body)
    // Awaited later; until then a failure to read it is nobody's surprise.
    if (snapshot instanceof Promise) snapshot.catch(() => {})
    else if (snapshot.sentOnce === undefined) call.body = snapshot
    if (call.body === undefined) call.bodySource = () => snapshot
  } else if (request !== undefined && request.body !== null) {
    if (retry !== undefined && canRepeat(retry, method, call.keyed))
      call.bodySource = readBody.bind(undefined, request, retry.maxBufferBytes, init.headers)
  }
}

/** Whether anything could lead to another attempt: then the body has to be kept. */
function canRepeat(
  { maxRetries, methods, shouldRetry }: RetrySettings,
  method: string,
  keyed: boolean,
): boolean {
  return (maxRetries > 0 || keyed) && (methods.has(method) || shouldRetry !== undefined)
}

const madeBy = (factory: () => BodyLike): RequestBody => ({
  next() {
    const body: unknown = factory()
    if (body instanceof Promise) throw invalidOption('what holdfast.body returns', 'a body', 'a promise')
    return body as BodyLike
  },
})
