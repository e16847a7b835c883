import { builtin } from '../primitives/builtin.ts'
import { isNoStream } from './discard.ts'
import type { BodyLike, HeadersLike } from './fetch-types.ts'

/** A request body, attempt after attempt. */
export interface RequestBody {
  /** The bytes for the next attempt. */
  next(): BodyLike | null
  /** The media type that belongs to those bytes, where the platform would derive another one each time. */
  readonly contentType?: string | null
  /** Why there is only one attempt. */
  readonly sentOnce?: 'stream' | 'too-large'
}

/** The same bytes can be handed over again and again. */
const replayable = (body: BodyLike): RequestBody => ({ next: () => body })

/** undici detaches a buffer that it has sent through a redirect: each attempt gets a copy of the copy. */
const copied = (bytes: ArrayBuffer | Uint8Array<ArrayBuffer>): RequestBody => ({ next: () => bytes.slice(0) })

const once = (body: BodyLike, sentOnce: 'stream' | 'too-large'): RequestBody => ({
  next: () => body,
  sentOnce,
})

/** A stream that was read once, even if it was let go since: the platform tells by refusing it. */
export function isUsedUp(body: unknown): boolean {
  if (!(body instanceof ReadableStream)) return false
  try {
    void new Response(body)
    return body.locked
  } catch {
    return true
  }
}

/** By tag, not class: a polyfill's or another realm's object is as good. */
const isTagged = (value: unknown, tag: string): boolean =>
  Object.prototype.toString.call(value) === `[object ${tag}]`

/** What can be read only once: a web stream, a Node stream, an async iterable. */
export function isStream(body: unknown): boolean {
  if (typeof body !== 'object' || body === null) return false
  return isTagged(body, 'ReadableStream') || Symbol.asyncIterator in body || 'pipe' in body
}

/** What we need of `node:stream`. */
interface Streams {
  isErrored(stream: unknown): boolean
}

/**
 * What is sent of a body: of an async iterable, nobody else would tell that it has broken. It tells as a stream of Node's
 * does.
 */
export function telling(body: BodyLike | null): BodyLike | null {
  if (!isStream(body) || isTagged(body, 'ReadableStream') || 'pipe' in (body as object)) return body
  const told: AsyncIterable<unknown> & { errored?: unknown } = {
    async *[Symbol.asyncIterator]() {
      try {
        yield* body as ReadableStream
      } catch (error) {
        this.errored = error
        throw error
      }
    },
  }
  return told as BodyLike
}

/** Whether a request failed with `error` because its body broke, a stream of the caller's; as far as the platform tells. */
export function isBroken(body: unknown, error: unknown): boolean {
  const errored = (body as { readonly errored?: unknown } | null | undefined)?.errored
  if (!errored) return builtin<Streams>('stream')?.isErrored?.(body) === true
  // A stream of Node's may have been destroyed by who was sending it, for what broke the connection.
  return errored === error || errored === Object(error).cause
}

/**
 * Takes a body as it is now, so that every attempt sends the same bytes whatever the caller does with it meanwhile.
 * Immutable kinds are kept, mutable ones copied; only a stream cannot be kept.
 */
export function snapshotBody(body: BodyLike): RequestBody | Promise<RequestBody> {
  if (ArrayBuffer.isView(body)) {
    return copied(new Uint8Array(body.buffer, body.byteOffset, body.byteLength).slice())
  }
  if (body instanceof ArrayBuffer) return copied(body.slice(0))
  if (isStream(body)) return once(body, 'stream')
  if (body instanceof URLSearchParams) return replayable(new URLSearchParams(body))
  const isForm = isTagged(body, 'FormData') && Symbol.iterator in (body as FormData)
  return isForm ? freezeForm(body as FormData) : replayable(body)
}

/**
 * A form is given a new boundary each time it is sent: written out once, every attempt has the same bytes. That of a
 * package, which only the package's own fetch takes for one, is made one of the platform's. What can't be, as React
 * Native's or one with files of a class of their own, is sent as it is.
 */
async function freezeForm(given: FormData): Promise<RequestBody> {
  const form = new FormData()
  for (const [name, value] of given) {
    // Another class's file would be made a string. A file keeps its path in a directory only without a name of ours.
    if (!(typeof value === 'string' || value instanceof Blob)) return replayable(given)
    form.append(name, value)
  }
  const written = new Response(form)
  const contentType = written.headers.get('content-type')
  const blob = await written.blob()
  return { next: () => blob, contentType }
}

/**
 * Reads the body of a `Request` up to `maxBytes`; a longer one is streamed on, once.
 *
 * @param given the headers that it is sent with
 * @throws {TypeError} where these are malformed
 */
export async function readBody(
  request: Request,
  maxBytes: number,
  given: HeadersLike | undefined,
): Promise<RequestBody | undefined> {
  const headers = new Headers(given)
  const stream = request.body as ReadableStream<Uint8Array<ArrayBuffer>> | null | undefined
  if (stream === null) return undefined
  // Firefox has no `Request.body`, and node-fetch's is a stream of Node's: there a request can only be read whole, and
  // `bodyUsed` tells if there was anything.
  if (isNoStream(stream)) {
    const bytes = await request.arrayBuffer()
    return request.bodyUsed ? copied(bytes) : undefined
  }
  const reader = stream.getReader()
  const chunks: Uint8Array<ArrayBuffer>[] = []
  let size = 0
  for (let chunk; (chunk = (await reader.read()).value);) {
    chunks.push(chunk)
    if ((size += chunk.byteLength) > maxBytes) return once(resumed(chunks, reader), 'too-large')
  }
  // Both are immutable, and survive redirects.
  const body = (headers.has('content-type') && textOf(chunks)) || new Blob(chunks)
  // Of a stream the caller may say how long it is: undici takes no length twice, and holds a stream to it.
  return { next: () => (headers.has('content-length') ? new Blob([body]).stream() : body) }
}

/** Most are text in one piece, which the platform sends 100 us faster than a Blob, if not without a type: it adds one. */
function textOf([first, second]: readonly Uint8Array[]): string | undefined {
  if (!first || second) return undefined
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(first)
  } catch {
    // Bytes of something else, or an engine that has no such decoder.
    return undefined
  }
}

/** A stream of what has been read already, then of the rest. */
function resumed(
  chunks: Uint8Array[],
  reader: ReadableStreamDefaultReader<Uint8Array>,
): ReadableStream<Uint8Array> {
  return new ReadableStream<Uint8Array>({
    async pull(controller) {
      const next = chunks.shift() ?? (await reader.read()).value
      if (next) controller.enqueue(next)
      else controller.close()
    },
    cancel: (reason) => reader.cancel(reason),
  })
}
