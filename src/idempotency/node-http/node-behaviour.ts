/** Imitates node:http: a `ResponseCapture` must treat what a handler gives it, and fail, as a ServerResponse would. */
import type { ServerResponse } from 'node:http'

export type Callback = (error?: Error) => void

export function isCallback(value: unknown): value is Callback {
  return typeof value === 'function'
}

export function bytesOf(chunk: unknown, encoding: unknown): Uint8Array {
  if (typeof chunk === 'string') {
    return Buffer.from(chunk, typeof encoding === 'string' && Buffer.isEncoding(encoding) ? encoding : 'utf8')
  }
  // Copied: the caller may reuse the buffer before it is sent.
  if (chunk instanceof Uint8Array) return Buffer.from(chunk)
  throw Object.assign(new TypeError('The "chunk" argument must be a string, Buffer or Uint8Array'), {
    code: 'ERR_INVALID_ARG_TYPE',
  })
}

export function headersSentError(): Error {
  return Object.assign(new Error('Cannot set headers after they are sent to the client'), {
    code: 'ERR_HTTP_HEADERS_SENT',
  })
}

/** The status that Node sends for what code without types may have set: a text, or a fraction. @throws as Node does */
export function sentStatus(given: unknown): number {
  const code = Math.trunc(Number(given))
  if (code >= 100 && code <= 999) return code
  throw Object.assign(new RangeError(`Invalid status code: ${String(given)}`), {
    code: 'ERR_HTTP_INVALID_STATUS_CODE',
  })
}

/** Whether the response has a reason phrase: HTTP/2 has none, and Node prints a warning when one is read or set. */
export function hasReason(response: ServerResponse): boolean {
  // A mocked response may have no request.
  const request: unknown = response.req
  return !(Number(Reflect.get(Object(request), 'httpVersionMajor')) >= 2)
}

/** The status message, as far as one has been set. */
export function reasonOf(response: ServerResponse): string | undefined {
  return hasReason(response) ? response.statusMessage : undefined
}

export function setReason(response: ServerResponse, reason: string | undefined): void {
  // Unset it is what Node makes of the status.
  if (hasReason(response)) Reflect.set(response, 'statusMessage', reason)
}

export function failLater(callback: Callback | undefined, message: string, code: string): void {
  if (callback === undefined) return
  queueMicrotask(() => callback(Object.assign(new Error(message), { code })))
}

/**
 * Fails a write after the end. Node emits `error`, which ends a process without a listener for it; here the response is
 * complete and recorded, so the event is only emitted where somebody listens.
 */
export function failWrite(response: ServerResponse, callback: Callback | undefined): void {
  const tell = (error?: Error): void => {
    callback?.(error)
    if (error !== undefined && response.listenerCount('error') > 0) response.emit('error', error)
  }
  failLater(tell, 'write after end', 'ERR_STREAM_WRITE_AFTER_END')
}
