import { pipeline, Readable, type Duplex } from 'node:stream'
import * as zlib from 'node:zlib'
import type { ReadResult } from '../../http/relay.ts'
import type { BodySource } from './lazy-response.ts'

type Bytes = Uint8Array<ArrayBuffer>
type Decode = (chunks: AsyncIterable<Bytes>) => AsyncIterable<Bytes>

/** As undici's fetch has them: slightly broken endings, which servers do send, are forgiven. */
const LENIENT = { flush: zlib.constants.Z_SYNC_FLUSH, finishFlush: zlib.constants.Z_SYNC_FLUSH }
const LENIENT_BROTLI = {
  flush: zlib.constants.BROTLI_OPERATION_FLUSH,
  finishFlush: zlib.constants.BROTLI_OPERATION_FLUSH,
}

const gunzip: Decode = (chunks) => through(chunks, zlib.createGunzip(LENIENT))

const DECODERS: ReadonlyMap<string, Decode> = new Map([
  ['gzip', gunzip],
  ['x-gzip', gunzip],
  ['deflate', inflate],
  ['br', (chunks) => through(chunks, zlib.createBrotliDecompress(LENIENT_BROTLI))],
  // Node 22.15 and later have it.
  ...('createZstdDecompress' in zlib
    ? [['zstd', (chunks) => through(chunks, zlib.createZstdDecompress())] satisfies [string, Decode]]
    : []),
])

/** More of them are an attack. */
const MAX_ENCODINGS = 5

/**
 * A body without its content encodings; as it is where one of them is unknown, as fetch does it.
 *
 * @throws what is the cause of fetch's error
 */
export function decoded(source: BodySource, contentEncoding: string | undefined): BodySource {
  if (contentEncoding === undefined) return source
  const names = contentEncoding.split(',').map((name) => name.trim().toLowerCase())
  if (names.length > MAX_ENCODINGS) throw new Error(`too many content encodings: ${names.length}`)
  const decoders = names.flatMap((name) => DECODERS.get(name) ?? [])
  return decoders.length === names.length ? new DecodedBody(source, decoders) : source
}

class DecodedBody implements BodySource {
  readonly #source: BodySource
  readonly #decoders: readonly Decode[]
  /** Made with the first read: a body that nobody reads takes no decoder. */
  #chunks: AsyncIterator<Bytes> | undefined
  /** What broke the source: not the decoder's failure. */
  #failure: { readonly error: unknown } | undefined

  constructor(source: BodySource, decoders: readonly Decode[]) {
    this.#source = source
    this.#decoders = decoders
  }

  set onAborted(tell: BodySource['onAborted']) {
    this.#source.onAborted = tell
  }

  async read(): Promise<ReadResult> {
    try {
      const { done, value } = await (this.#chunks ??= this.#decode()).next()
      return done === true ? { done, value: undefined } : { done: false, value: new Uint8Array(value) }
    } catch (error) {
      if (this.#failure !== undefined) throw this.#failure.error
      await this.#source.cancel(error)
      throw new TypeError('terminated', { cause: error })
    }
  }

  async cancel(reason: unknown): Promise<void> {
    await this.#source.cancel(reason)
    await this.#chunks?.return?.().catch(() => {})
  }

  #decode(): AsyncIterator<Bytes> {
    const encoded: AsyncIterable<Bytes> = this.#encoded()
    return this.#decoders.reduceRight((chunks, decode) => decode(chunks), encoded)[Symbol.asyncIterator]()
  }

  async *#encoded(): AsyncGenerator<Bytes> {
    for (;;) {
      const { done, value } = await this.#source.read().catch((error: unknown) => {
        this.#failure = { error }
        throw error
      })
      if (done) return
      yield value
    }
  }
}

/** What goes wrong is told to whoever reads the end of the pipe. */
function through(chunks: AsyncIterable<Bytes>, decoder: Duplex): AsyncIterable<Bytes> {
  return pipeline(Readable.from(chunks), decoder, () => {})
}

/** Servers mean either form by it; the first byte tells which. */
async function* inflate(chunks: AsyncIterable<Bytes>): AsyncGenerator<Bytes> {
  const all = chunks[Symbol.asyncIterator]()
  const first = await all.next()
  if (first.done === true) return
  const isZlib = ((first.value[0] ?? 0) & 0x0f) === 0x08
  const decoder = isZlib ? zlib.createInflate(LENIENT) : zlib.createInflateRaw(LENIENT)
  yield* through(startingWith(first.value, all), decoder)
}

async function* startingWith(first: Bytes, rest: AsyncIterator<Bytes>): AsyncGenerator<Bytes> {
  yield first
  yield* { [Symbol.asyncIterator]: () => rest }
}
