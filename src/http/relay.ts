import { isNoStream } from './discard.ts'
import { reasonPhrase } from '../primitives/reason-phrase.ts'

type Bytes = Uint8Array<ArrayBuffer>
export type BodyReader = ReadableStreamDefaultReader<Bytes>
export type ReadResult = ReadableStreamReadResult<Bytes>
type Read = (reader: BodyReader) => Promise<ReadResult>

/** Where a response came from: what a constructed one cannot be given. */
export interface Provenance {
  readonly url: string
  readonly redirected: boolean
  readonly type: ResponseType
}

/** What a constructed response can't be given, or not in every language. */
interface Original extends Provenance {
  readonly statusText: string
}

/** No response can be constructed with a status outside of these. */
export const canRebuild = ({ status }: { readonly status: number }): boolean => status >= 200 && status <= 599

/** Makes a constructed response look like the one it stands for, and its clones too. */
export function cameFrom(response: Response, original: Original): Response {
  const clone = response.clone.bind(response)
  Object.defineProperty(response, 'clone', { value: () => cameFrom(clone(), original), configurable: true })
  for (const name of ['url', 'redirected', 'type', 'statusText'] as const) {
    Object.defineProperty(response, name, { value: original[name], configurable: true })
  }
  return response
}

/** Where the bytes of a body come from. */
export interface ByteSource {
  read(): Promise<ReadResult>
  cancel(reason: unknown): Promise<void>
}

/**
 * The same response, its body read through `read`. Nothing is read ahead, so the pace stays the consumer's; until the
 * first read the original body is left unlocked, so that the platform still frees the socket of a response that is
 * forgotten unread.
 *
 * @param onCancel told before the body is cancelled, which ends a read that waits as the end of the body does
 */
export function relay(response: Response, read: Read, onCancel?: () => void): Response {
  const { body } = response
  if (isNoStream(body) || !canRebuild(response)) return response
  // The original response is held: platforms cancel the body of one that has been collected.
  const holder: { readonly response: Response; reader?: BodyReader } = { response }
  return rebuild(response, body, {
    read: () => read((holder.reader ??= body.getReader())),
    cancel(reason) {
      onCancel?.()
      return holder.reader === undefined ? body.cancel(reason) : holder.reader.cancel(reason)
    },
  })
}

/** The same response, its body a stream of the same kind over `bytes`, which are asked for only when it is read. */
export function rebuild(response: Response, body: ReadableStream<Bytes>, bytes: ByteSource): Response {
  const { status, statusText, headers } = response
  const init = { status, statusText: reasonPhrase(statusText), headers }
  return cameFrom(new Response(streamLike(body, bytes), init), response)
}

function streamLike(body: ReadableStream<Bytes>, bytes: ByteSource): ReadableStream<Bytes> {
  return isByteStream(body)
    ? byteStreamOf(bytes)
    : new ReadableStream(underlying(bytes), { highWaterMark: 0 })
}

/** A stream as the platform's bodies are. */
export function byteStreamOf(bytes: ByteSource): ReadableStream<Bytes> {
  return new ReadableStream({ type: 'bytes', ...underlying(bytes) }, { highWaterMark: 0 })
}

/** What a stream over `bytes` is made of, whatever its kind. */
export function underlying(bytes: ByteSource) {
  return {
    async pull(
      controller: ReadableStreamDefaultController<Bytes> | ReadableByteStreamController,
    ): Promise<void> {
      const { done, value } = await nextChunk(bytes)
      if (!done) return controller.enqueue(value)
      controller.close()
      // A reader with a buffer of its own is answered only by this.
      if ('byobRequest' in controller) controller.byobRequest?.respond(0)
    },
    cancel: (reason: unknown): Promise<void> => bytes.cancel(reason),
  }
}

/** An empty chunk would be no answer to a read. */
async function nextChunk(bytes: ByteSource): Promise<ReadResult> {
  let result = await bytes.read()
  while (!result.done && result.value.byteLength === 0) result = await bytes.read()
  return result
}

function isByteStream(body: ReadableStream<Bytes>): boolean {
  try {
    body.getReader({ mode: 'byob' }).releaseLock()
    return true
  } catch {
    return false
  }
}
