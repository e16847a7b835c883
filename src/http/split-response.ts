import { raceAbort } from '../core/work.ts'
import { type AbortListener, type Scope } from '../primitives/signal.ts'
import { isNoStream } from './discard.ts'
import { cameFrom, canRebuild, rebuild, type BodyReader, type ByteSource, type ReadResult } from './relay.ts'

/**
 * One response for several readers, each at its own pace. What the slowest has not read yet is kept, once for all of
 * them. Cancelling one body leaves the others alone; when all are gone, the original is cancelled.
 *
 * @param readers one scope for each: its abort breaks the body of that reader only
 * @param onDeserted told of the last reader's scope when its abort left nobody
 */
export function splitResponse(
  response: Response,
  readers: readonly Scope[],
  onDeserted: (last: Scope) => void,
): Response[] {
  const { body } = response
  if (isNoStream(body) || !canRebuild(response)) {
    return readers.map((_, place) =>
      place === 0 || isUnclonable(response) ? response : cameFrom(response.clone(), response),
    )
  }
  const shared = new SharedBody(response, body, readers.length)
  return readers.map((scope) => rebuild(response, body, new Branch(shared, scope, onDeserted)))
}

/** As the mock of a test may be: all get the same. */
const isUnclonable = ({ clone }: Partial<Response>): boolean => clone === undefined

/** What all readers read from. */
class SharedBody {
  readonly first = new Chunk()
  readonly #body: ReadableStream<Uint8Array<ArrayBuffer>>
  /** Held, since platforms cancel the body of a response that has been collected. */
  readonly response: Response
  #reader: BodyReader | undefined
  #readers: number

  constructor(response: Response, body: ReadableStream<Uint8Array<ArrayBuffer>>, readers: number) {
    this.response = response
    this.#body = body
    this.#readers = readers
  }

  get isDeserted(): boolean {
    return this.#readers === 0
  }

  /** Locked with the first read only, so that the platform still frees what all have forgotten unread. */
  async read(): Promise<ReadResult> {
    this.#reader ??= this.#body.getReader()
    return this.#reader.read()
  }

  leave(reason: unknown): Promise<void> {
    this.#readers--
    if (!this.isDeserted) return Promise.resolve()
    return this.#reader === undefined ? this.#body.cancel(reason) : this.#reader.cancel(reason)
  }
}

/** A link of what has been read; who still needs it holds it, and nobody else does. */
class Chunk {
  readonly result: ReadResult | undefined
  #next: Promise<Chunk> | undefined

  constructor(result?: ReadResult) {
    this.result = result
  }

  /** Read by whoever comes here first. */
  next(body: SharedBody): Promise<Chunk> {
    this.#next ??= body.read().then((result) => new Chunk(result))
    return this.#next
  }
}

/** One reader's way through the chunks. */
class Branch implements ByteSource, AbortListener {
  readonly #body: SharedBody
  readonly #scope: Scope
  readonly #onDeserted: (last: Scope) => void
  #chunk: Chunk
  #gone = false

  constructor(body: SharedBody, scope: Scope, onDeserted: (last: Scope) => void) {
    this.#body = body
    this.#scope = scope
    this.#onDeserted = onDeserted
    this.#chunk = body.first
    scope.add(this)
  }

  async read(): Promise<ReadResult> {
    this.#chunk = await raceAbort(this.#scope, this.#chunk.next(this.#body))
    const { result } = this.#chunk
    if (result === undefined || result.done) {
      this.#scope.remove(this)
      return { done: true, value: undefined }
    }
    // Its own copy: a reader may change or transfer what it gets.
    return { done: false, value: new Uint8Array(result.value) }
  }

  cancel(reason: unknown): Promise<void> {
    if (this.#gone) return Promise.resolve()
    this.#gone = true
    this.#scope.remove(this)
    return this.#body.leave(reason)
  }

  onAbort(scope: Scope): void {
    if (this.#gone) return
    this.cancel(scope.reason).catch(() => {})
    if (this.#body.isDeserted) this.#onDeserted(scope)
  }
}
