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

/** No response can be constructed with a status outside of these. */
export const canRebuild = ({ status }: { readonly status: number }): boolean => status >= 200 && status <= 599

/** Makes a constructed response look like the one it stands for. */
export function cameFrom(response: Response, provenance: Provenance): Response {
  for (const name of ['url', 'redirected', 'type'] as const) {
    Object.defineProperty(response, name, { value: provenance[name], configurable: true })
  }
  return response
}

/**
 * The same response, its body read through `read`. Nothing is read ahead, so the pace stays the consumer's; until the
 * first read the original body is left unlocked, so that the platform still frees the socket of a response that is
 * forgotten unread.
 */
export function relay(response: Response, read: Read): Response {
  if (response.body === null || !canRebuild(response)) return response
  return cameFrom(new Response(relayed(response, response.body, read), response), response)
}

function relayed(response: Response, body: ReadableStream<Bytes>, read: Read): ReadableStream<Bytes> {
  // The original response is held: platforms cancel the body of one that has been collected.
  const holder: { readonly response: Response; reader?: BodyReader } = { response }
  const source = {
    async pull(
      controller: ReadableStreamDefaultController<Bytes> | ReadableByteStreamController,
    ): Promise<void> {
      holder.reader ??= body.getReader()
      const { done, value } = await nextChunk(holder.reader, read)
      if (!done) return controller.enqueue(value)
      controller.close()
      // A reader with a buffer of its own is answered only by this.
      if ('byobRequest' in controller) controller.byobRequest?.respond(0)
    },
    cancel: (reason: unknown): Promise<void> =>
      holder.reader === undefined ? body.cancel(reason) : holder.reader.cancel(reason),
  }
  return isByteStream(body)
    ? new ReadableStream({ type: 'bytes', ...source }, { highWaterMark: 0 })
    : new ReadableStream(source, { highWaterMark: 0 })
}

/** An empty chunk would be no answer to a read. */
async function nextChunk(reader: BodyReader, read: Read): Promise<ReadResult> {
  let result = await read(reader)
  while (!result.done && result.value.byteLength === 0) result = await read(reader)
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
