/** The whole body, or the news that it has more than `maxBytes`: then the rest is left unread. */
export async function limitedBytes(body: Body, maxBytes: number): Promise<Uint8Array | 'too-large'> {
  const read = await readUpTo(body.body, maxBytes)
  if (read.rest === undefined) return joined(read.chunks)
  // Not awaited: half of a cloned body only counts as cancelled when the other half is, too.
  read.rest.cancel().catch(() => {})
  return 'too-large'
}

export interface PartlyRead {
  readonly chunks: readonly Uint8Array[]
  /** What comes after the chunks, where they exceed the limit. */
  readonly rest: ReadableStreamDefaultReader<Uint8Array> | undefined
}

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

/** A stream may give anything. Servers that write to a socket take text as well; what else platforms refuse is refused. */
function bytesOf(chunk: unknown): Uint8Array {
  if (isBytes(chunk)) return chunk
  if (typeof chunk === 'string') return new TextEncoder().encode(chunk)
  throw new TypeError('the stream of a body gave what is neither text nor a Uint8Array')
}

/** Another realm's are, too. */
const isBytes = (chunk: unknown): chunk is Uint8Array =>
  chunk instanceof Uint8Array || Object.prototype.toString.call(chunk) === '[object Uint8Array]'

export function joined(chunks: readonly Uint8Array[]): Uint8Array {
  const [first] = chunks
  if (chunks.length === 1 && first !== undefined) return first
  const all = new Uint8Array(chunks.reduce((length, chunk) => length + chunk.length, 0))
  let at = 0
  for (const chunk of chunks) {
    all.set(chunk, at)
    at += chunk.length
  }
  return all
}

/** The chunks again, then what has not been read yet. */
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
