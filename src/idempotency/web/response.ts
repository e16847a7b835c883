import { reasonPhrase } from '../../primitives/reason-phrase.ts'
import { isEventStream, type Answer, type HandlerResponse } from '../answer.ts'
import { isNullBodyStatus } from '../../primitives/null-body-status.ts'
import { concat } from '../bytes.ts'
import { readUpTo, resumed } from './body.ts'

export type IdempotencyStatus = 'stored' | 'unsaved' | 'ignored'

/** A handler's response, read as far as it is kept. */
export interface Captured {
  readonly response: HandlerResponse
  /** The response once more, to be sent. */
  toResponse(status?: IdempotencyStatus): Response
}

/**
 * Reads a response. One that is a stream, or that has more than `maxBytes`, is only begun: it is sent as it comes.
 *
 * @throws for one that no server can send
 */
export async function capture(source: Response, maxBytes: number): Promise<Captured> {
  const given: unknown = source
  if (!isResponse(given))
    throw new TypeError(`the handler should return a Response, got ${given === null ? 'null' : typeof given}`)
  if (source.type === 'error') throw new TypeError('the handler responded with an error: Response.error()')
  const headers = [...source.headers]
  // A fetched response may have a reason phrase that the Response constructor refuses.
  const head = { status: source.status, statusText: reasonPhrase(source.statusText), headers }
  const streams =
    isEventStream(source.headers.get('content-type')) ||
    !canBeMade(source.status) ||
    source.headers.has(SENT_BY_HAND)
  if (streams) {
    const response: HandlerResponse = { ...head, body: undefined }
    return { response, toResponse: (status) => withStatus(source, status) }
  }
  const read = await readUpTo(source.body, maxBytes)
  const body = read.rest === undefined ? concat(read.chunks) : undefined
  // A server sets content-length for a whole body, and clients refuse a message with both.
  const framed = body === undefined ? headers : headers.filter(([name]) => name !== 'transfer-encoding')
  const init = { ...head, headers: framed }
  return {
    response: { ...head, body },
    toResponse: (status) =>
      withStatus(new Response(sendable(head.status, body ?? resumed(read)), init), status),
  }
}

/** Set by @hono/node-server where the handler has written to the node:http response itself, past this layer. */
const SENT_BY_HAND = 'x-hono-already-sent'

/** Whether the Response constructor takes the status; others (101) come from the platform, and are passed on as they are. */
function canBeMade(status: number): boolean {
  return status >= 200 && status <= 599
}

function sendable(status: number, body: Uint8Array | ReadableStream): BodyInit | null {
  // For an empty body a server may add a content type, for none it does not.
  const isNone = isNullBodyStatus(status) || (body instanceof Uint8Array && body.length === 0)
  // The platform's types refuse shared memory, which nothing here is backed by.
  return isNone ? null : (body as Uint8Array<ArrayBuffer> | ReadableStream)
}

export function toResponse({ status, statusText, headers, body }: Answer): Response {
  return new Response(sendable(status, body), {
    status,
    statusText,
    headers: headers.map(([name, value]) => [name, value]),
  })
}

/** The same response with an Idempotency-Status. One whose headers are fixed (a redirect, a fetched one) is copied. */
export function withStatus(response: Response, status: IdempotencyStatus | undefined): Response {
  if (status === undefined) return response
  try {
    response.headers.set('idempotency-status', status)
    return response
  } catch {
    if (!canBeMade(response.status)) return response
    const { body, headers, statusText } = response
    const init = { status: response.status, statusText: reasonPhrase(statusText), headers }
    const copy = new Response(body, init)
    copy.headers.set('idempotency-status', status)
    return copy
  }
}

/** Another realm's or a polyfill's Response is one too. */
export function isResponse(value: unknown): value is Response {
  return (
    typeof value === 'object' &&
    value !== null &&
    'status' in value &&
    typeof value.status === 'number' &&
    'headers' in value &&
    'body' in value &&
    'arrayBuffer' in value
  )
}
