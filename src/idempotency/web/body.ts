import { concat } from '../bytes.ts'

/** The whole body, or `'too-large'` for one of more than `maxBytes`: the rest of that is not read. */
export async function limitedBytes(body: Body, maxBytes: number): Promise<Uint8Array | 'too-large'> {
  const read = await readUpTo(body.body, maxBytes)
  if (read.rest === undefined) return concat(read.chunks)
  // Not awaited: half of a cloned body only counts as cancelled when the other half is, too.
  read.rest.cancel().catch(() => {})
  return 'too-large'
}

/** A stream that was read up to a limit. */
export interface PartlyRead {
  readonly chunks: readonly Uint8Array[]
  /** Where there is more than the limit: reads what comes after the chunks. */
  readonly rest: ReadableStreamDefaultReader<Uint8Array> | undefined
}

/** Reads a stream to its end, or until it has given more than `maxBytes`. */
export async function readUpTo(
  stream: ReadableStream<Uint8Array> | null,
  maxBytes: number,
): Promise<PartlyRead> {
  const chunks: Uint8Array[] = []
  if (stream === null) return { chunks, rest: undefined }
  const reader = stream.getReader()
  for (let length = 0; length <= maxBytes;) {
    const { done, value } = await reader.read()
    if (done) return { chunks, rest: undefined }
    const chunk = bytesOf(value)
    chunks.push(chunk)
    length += chunk.length
  }
  return { chunks, rest: reader }
}

/** A handler's stream may give text, which servers on a socket accept; anything else they refuse, too. */
function bytesOf(chunk: unknown): Uint8Array {
  if (isBytes(chunk)) return chunk
  if (typeof chunk === 'string') return new TextEncoder().encode(chunk)
  throw new TypeError('the stream of a body gave what is neither text nor a Uint8Array')
}

/** By its tag as well, since a Uint8Array of another realm (a Jest environment, a vm) is no instance of this one's. */
const isBytes = (chunk: unknown): chunk is Uint8Array =>
  chunk instanceof Uint8Array || Object.prototype.toString.call(chunk) === '[object Uint8Array]'

/** The whole stream again: the chunks that were read, then the rest. */
export function resumed({ chunks, rest }: PartlyRead): ReadableStream<Uint8Array> {
  let next = 0
  return new ReadableStream({
    async pull(controller) {
      const chunk = chunks[next++]
      if (chunk !== undefined) {
        controller.enqueue(chunk)
        return
      }
      const { done, value } = (await rest?.read()) ?? { done: true, value: undefined }
      if (done) controller.close()
      else controller.enqueue(value)
    },
    cancel: (reason) => rest?.cancel(reason),
  })
}
