import { headersOf } from '../http/headers-of.ts'
import { relay, type BodyReader, type ReadResult } from '../http/relay.ts'

type Bytes = Uint8Array<ArrayBuffer>

/**
 * Passes a body on and keeps a copy, up to `maxBytes`; `onComplete` gets it when the body has been read to its end, which
 * waits for what that returns.
 */
export function recorded(
  response: Response,
  maxBytes: number,
  onComplete: (body: Bytes) => Promise<void> | undefined,
): Response {
  if (Number(headersOf(response).get('content-length')) > maxBytes) return response
  if (response.body === null) {
    void onComplete(new Uint8Array())
    return response
  }
  const copy = new Copy(maxBytes)
  const read = async (reader: BodyReader): Promise<ReadResult> => {
    const result = await reader.read()
    if (!result.done) copy.add(result.value)
    else if (copy.isWhole) await onComplete(copy.take())
    return result
  }
  return relay(response, read, () => copy.giveUp())
}

class Copy {
  readonly #maxBytes: number
  #chunks: Bytes[] = []
  #bytes = 0

  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes
  }

  get isWhole(): boolean {
    return this.#bytes <= this.#maxBytes
  }

  /** The rest will never come. */
  giveUp(): void {
    this.#bytes = Infinity
    this.#chunks = []
  }

  /** The chunk is the reader's to change or to hand on, so it is copied at once, which `slice` of a Buffer does not. */
  add(chunk: Bytes): void {
    this.#bytes += chunk.byteLength
    if (this.isWhole) this.#chunks.push(new Uint8Array(chunk))
    else this.#chunks = []
  }

  take(): Bytes {
    const all = new Uint8Array(this.#bytes)
    let offset = 0
    for (const chunk of this.#chunks) {
      all.set(chunk, offset)
      offset += chunk.byteLength
    }
    return all
  }
}
