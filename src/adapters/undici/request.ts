import type { BodyLike } from '../../http/fetch-types.ts'
import type { DispatchOptions } from './dispatch.ts'
import { hasHeader, type PlainHeaders } from './headers.ts'

/** The URL that a request goes to: names its circuit, and its stored responses. */
export function urlOf({ origin, path, query }: DispatchOptions, fallbackOrigin: string): string {
  const base = `${origin ?? fallbackOrigin}`.replace(/\/$/, '')
  const url = urlIn(path) ?? base + (path.startsWith('/') ? path : '/')
  if (query === undefined || query === null) return url
  const added = new URLSearchParams()
  for (const [name, value] of Object.entries(query)) {
    for (const each of [value].flat()) added.append(name, String(each))
  }
  return added.size === 0 ? url : `${url}?${added.toString()}`
}

/** A request to a proxy has the whole URL as its path (RFC 9112, 3.2.2). */
const urlIn = (path: string): string | undefined => (/^https?:\/\//.test(path) ? path : undefined)

/** A body, as the pipeline takes it. */
export interface CallBody {
  readonly body?: BodyLike
  /** A body that can be read only once, but has a known length: buffered before it is sent, as that of a `Request` is. */
  readonly finite?: ReadableStream
}

export function bodyOf(
  { body, method }: DispatchOptions,
  headers: Headers | PlainHeaders | undefined,
): CallBody {
  if (body === undefined || body === null) return {}
  if (isForm(body)) return { body: standardForm(body) }
  const isFinite = headers !== undefined && hasHeader(headers, 'content-length')
  if (isFinite && isAsyncIterable(body) && !/^(?:GET|HEAD)$/i.test(method)) return { finite: streamOf(body) }
  // The platform's types know neither Node's streams nor iterables; undici does.
  return { body: (isSyncIterable(body) ? onceOf(body) : body) as BodyLike }
}

/** A stream of Node, or what can be iterated over like one. */
type Chunks = AsyncIterable<unknown> & { destroy?(): void }

const isAsyncIterable = (body: unknown): body is Chunks =>
  typeof body === 'object' && body !== null && Symbol.asyncIterator in body

const isSyncIterable = (body: unknown): body is Iterable<unknown> =>
  typeof body === 'object' && body !== null && Symbol.iterator in body && !ArrayBuffer.isView(body)

/** A generator, which can be read only once, can't be told from an array: both are treated as streams. */
async function* onceOf(chunks: Iterable<unknown>): AsyncIterable<unknown> {
  yield* chunks
}

async function* bytesOf(chunks: AsyncIterable<unknown>): AsyncGenerator<Uint8Array> {
  for await (const chunk of chunks) yield chunk instanceof Uint8Array ? chunk : Buffer.from(String(chunk))
}

function streamOf(body: Chunks): ReadableStream<Uint8Array> {
  const chunks = bytesOf(body)
  return new ReadableStream<Uint8Array>(
    {
      async pull(stream) {
        const { done, value } = await chunks.next()
        if (done === true) stream.close()
        else stream.enqueue(value)
      },
      // A server that answers early reads no more; a file must be closed then.
      cancel() {
        // Without an error, as undici does it: the iterator would destroy a stream with one.
        body.destroy?.()
        // Not awaited: it waits for the chunk that is being made, which may never come.
        chunks.return(undefined).catch(() => {})
      },
    },
    { highWaterMark: 0 },
  )
}

const isForm = (body: unknown): body is Iterable<[string, FormDataEntryValue]> =>
  Object.prototype.toString.call(body) === '[object FormData]'

/** A form of undici's own class, as one of the platform's, which can be written out once for all attempts. */
function standardForm(given: Iterable<[string, FormDataEntryValue]>): FormData {
  if (given instanceof FormData) return given
  const form = new FormData()
  for (const [name, value] of given) {
    if (typeof value === 'string') form.append(name, value)
    else form.append(name, value, value.name)
  }
  return form
}
