import { IncomingMessage } from 'node:http'
import type { Readable } from 'node:stream'
import type { ReadBody } from '../engine.ts'
import { concat } from '../bytes.ts'
import { asBuffer } from './payload.ts'
import { keepUnread, type BodyObserver } from './unread.ts'

/**
 * Reads the raw body of a request and leaves the request as if nobody had. What the parser pushes stays in the
 * request's own buffer until the handler, its body parser or a pipe takes it; here is only looked on.
 *
 * Where the body has been read already, the raw bytes are those that somebody kept as `rawBody`, on the request or on
 * one of `wrappers`, the framework's own objects.
 *
 * @throws {RequestGoneError} where the client has left before: Node has destroyed what nobody had read
 */
export function readBody(
  request: IncomingMessage,
  maxBytes: number,
  wrappers: readonly object[],
): ReadBody | Promise<ReadBody> {
  const kept = keptBody(request, wrappers)
  // Who kept it has taken what came for the whole.
  if (kept !== undefined && isCutOff(request)) throw new RequestGoneError()
  if (kept !== undefined) return kept.length > maxBytes ? 'too-large' : kept
  if (!hasBody(request)) {
    // The end of what is destroyed never comes, and Fastify waits for the end of nothing, too.
    if (request.destroyed && !request.readableEnded) throw new RequestGoneError()
    keepUnread(request)
    return new Uint8Array()
  }
  if (Number(request.headers['content-length']) > maxBytes) return 'too-large'
  if (request.readableDidRead || request.readableFlowing === true) return 'unavailable'
  if (request.destroyed) throw new RequestGoneError()
  return watchBody(request, maxBytes)
}

function keptBody(request: object, wrappers: readonly object[]): Uint8Array | undefined {
  const kept = rawBodyOf(request)
  if (kept !== undefined) return kept
  for (const wrapper of wrappers) {
    const bytes = rawBodyOf(wrapper)
    if (bytes !== undefined) return bytes
  }
  return undefined
}

function rawBodyOf(request: object): Uint8Array | undefined {
  const raw: unknown = Reflect.get(request, 'rawBody')
  if (raw instanceof Uint8Array) return raw
  return typeof raw === 'string' ? new TextEncoder().encode(raw) : undefined
}

/** As RFC 9112 (6.3) has it for requests: without either header there is none. HTTP/2 needs neither. */
function hasBody(request: IncomingMessage): boolean {
  if (!(request instanceof IncomingMessage)) return true
  const { headers } = request
  if (headers['transfer-encoding'] !== undefined) return true
  return headers['content-length'] !== undefined && headers['content-length'] !== '0'
}

/** HTTP/2 ends a body that was cut off like any other. */
const isCutOff = (request: object): boolean =>
  !(request instanceof IncomingMessage) && Reflect.get(request, 'aborted') === true

function watchBody(request: IncomingMessage, maxBytes: number): Promise<ReadBody> {
  return new Promise((resolve, reject) => {
    const chunks: Uint8Array[] = []
    let length = 0
    const isWhole = wholeness(request)
    const stop = (result: ReadBody): void => {
      leave()
      resolve(result)
    }
    const gone = (): void => {
      leave()
      reject(new RequestGoneError())
    }
    const take = (chunk: Uint8Array): void => {
      chunks.push(chunk)
      length += chunk.length
      if (length > maxBytes) stop('too-large')
    }
    const end = (): void => {
      if (isCutOff(request)) gone()
      else stop(isWhole(length) ? asBuffer(concat(chunks)) : 'unavailable')
    }
    const pushed: BodyObserver['pushed'] = (chunk, encoding) => {
      if (chunk === null) end()
      else if (chunk instanceof Uint8Array) take(chunk)
      else if (typeof chunk === 'string') take(Buffer.from(chunk, encoding))
    }
    const leave = keepUnread(request, { pushed, gone })
    const early = peek(request)
    if (early === undefined) return stop('unavailable')
    if (early.length > 0) take(early)
    const isHollow = waitsToBeAsked(request, early)
    if (request.complete && !isHollow) end()
    // A socket pushes by itself; a request that somebody made up (Fastify's `inject`) waits to be asked.
    if (isHollow || !(request instanceof IncomingMessage)) (request as Readable).read(0)
  })
}

/** So do those of adapters for functions (serverless-http), which are complete before there is anything in them. */
function waitsToBeAsked(request: IncomingMessage, early: Uint8Array): boolean {
  return request.complete && early.length === 0 && Number(request.headers['content-length']) > 0
}

/**
 * What has arrived before anybody looked on: after an asynchronous middleware the first packets are there. Nothing
 * where somebody has set an encoding, and the characters do not tell the bytes.
 */
function peek(request: IncomingMessage): Uint8Array | undefined {
  if (request.readableLength === 0) return new Uint8Array()
  const encoding = request.readableEncoding
  const buffered = drained(request)
  // Back at once: with its buffer filled the request does not notice that it had been empty.
  request.unshift(buffered, encoding ?? undefined)
  if (typeof buffered === 'string') return encoded(buffered, encoding)
  return buffered instanceof Uint8Array ? buffered : undefined
}

/** All that a request has in its buffer. Up to Node 25 `read()` gives it in one piece, from then on packet by packet. */
function drained(request: IncomingMessage): unknown {
  const packets: unknown[] = []
  // Not until it gives nothing: asked once more, a request whose end has arrived would end.
  while (request.readableLength > 0) packets.push(request.read())
  if (packets.length === 1) return packets[0]
  return packets.every((packet) => packet instanceof Uint8Array) ? concat(packets) : packets.join('')
}

/**
 * How to tell whether nothing is missing of a body of so many bytes. After `setEncoding()` the bytes of a character that
 * has not arrived whole are nowhere to be seen.
 */
function wholeness(request: IncomingMessage): (length: number) => boolean {
  const { complete, headers, readableEncoding, readableLength } = request
  if (readableEncoding === null || complete) return () => true
  const stated = headers['content-length']
  return (length) => (stated === undefined ? readableLength === 0 : length === Number(stated))
}

/** What the characters were made of, by encodings that have one way back only. */
function encoded(text: string, encoding: BufferEncoding | null): Uint8Array | undefined {
  if (encoding === 'utf8') return text.includes('\uFFFD') ? undefined : Buffer.from(text)
  const isExact =
    encoding === 'latin1' || encoding === 'hex' || encoding === 'base64' || encoding === 'base64url'
  return isExact ? Buffer.from(text, encoding) : undefined
}

/** The client went away while it was sending; there is nobody to answer, and nothing was started. */
export class RequestGoneError extends Error {
  override readonly name = 'RequestGoneError'

  constructor() {
    super('the client closed the connection before it had sent the whole request')
  }
}
