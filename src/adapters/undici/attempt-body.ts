import type { ByteSource, ReadResult } from '../../http/relay.ts'
import type { Bytes, Receiver } from './dispatch.ts'

/** The attempt whose body is read. */
interface Readable {
  passTo(receiver: Receiver): void
  pause(): void
  resume(): void
  discard(): void
}

const END: ReadResult = { done: true, value: undefined }

const nobody = (): void => {}

/** The body of an attempt for code that reads it here instead of passing it on: a `shouldRetry`, a cache. */
export class AttemptBody implements ByteSource, Receiver {
  readonly #attempt: Readable
  #isRead = false
  #resolve: (result: ReadResult) => void = nobody
  #reject: (error: unknown) => void = nobody
  /** Kept, since the body may break between two reads. */
  #failure: { readonly error: unknown } | undefined

  constructor(attempt: Readable) {
    this.#attempt = attempt
  }

  read(): Promise<ReadResult> {
    return new Promise((resolve, reject) => {
      if (this.#failure !== undefined) return reject(this.#failure.error)
      this.#resolve = resolve
      this.#reject = reject
      if (this.#isRead) return this.#attempt.resume()
      this.#isRead = true
      this.#attempt.passTo(this)
    })
  }

  async cancel(): Promise<void> {
    this.#attempt.discard()
  }

  onData(chunk: Bytes): void {
    // What undici tells when it resumes: pausing for nothing would go round in a circle.
    if (chunk.byteLength === 0) return
    this.#attempt.pause()
    this.#resolve({ done: false, value: new Uint8Array(chunk) })
  }

  onEnd(): void {
    this.#resolve(END)
  }

  onError(error: unknown): void {
    this.#failure = { error }
    this.#reject(error)
  }
}
