import { Readable } from 'node:stream'
import { ReadableStream as NodeReadableStream } from 'node:stream/web'
import { isNullBodyStatus } from '../../primitives/null-body-status.ts'
import { concat } from '../bytes.ts'
import { readUpTo, type PartlyRead } from '../web/body.ts'

/** What a framework is about to write: its bytes, as far as they are kept, and the same payload, still unread. */
export interface Payload {
  /** `undefined` for what has more than is kept. */
  readonly body: Uint8Array | undefined
  readonly unread: unknown
}

/** Reads a payload before its framework writes it. What is neither text nor bytes nor a stream becomes JSON. */
export async function readPayload(payload: unknown, status: number, maxBytes: number): Promise<Payload> {
  const stream = streamOf(payload)
  if (stream === undefined) {
    const bytes = isNullBodyStatus(status) ? new Uint8Array() : bytesOf(payload)
    return { body: bytes.length > maxBytes ? undefined : bytes, unread: payload }
  }
  const read = await readUpTo(stream, maxBytes)
  if (read.rest !== undefined) {
    const unread = Readable.from(resumed(read), { objectMode: false })
    // Also where nobody has begun to read it.
    unread.once('close', () => void read.rest?.cancel().catch(() => {}))
    return { body: undefined, unread }
  }
  const body = concat(read.chunks)
  return { body, unread: asBuffer(body) }
}

/** Over the same memory: frameworks know text and Buffers. */
export function asBuffer(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
}

function bytesOf(payload: unknown): Uint8Array {
  if (payload instanceof Uint8Array) return payload
  if (payload === undefined || payload === null) return new Uint8Array()
  return new TextEncoder().encode(typeof payload === 'string' ? payload : JSON.stringify(payload))
}

function streamOf(payload: unknown): ReadableStream<Uint8Array> | undefined {
  if (isNodeStream(payload)) return webStream(iterable(payload))
  if (payload instanceof ReadableStream) return webStream(payload)
  if (payload instanceof Response) return payload.body ?? new Blob().stream()
  return payload instanceof Blob ? payload.stream() : undefined
}

/** By what it can do: streams also come from packages that have their own class. */
function isNodeStream(payload: unknown): payload is NodeJS.ReadableStream {
  return typeof payload === 'object' && payload !== null && typeof Reflect.get(payload, 'pipe') === 'function'
}

/** The oldest kind of stream can't be iterated. */
function iterable(stream: NodeJS.ReadableStream): AsyncIterable<unknown> {
  return Symbol.asyncIterator in stream ? stream : new Readable().wrap(stream)
}

function webStream(chunks: AsyncIterable<unknown>): ReadableStream<Uint8Array> {
  // The platform's two types for the same class do not agree.
  return NodeReadableStream.from(bytesOfEach(chunks)) as ReadableStream<Uint8Array>
}

/** A stream may give text; who writes it would encode it. */
async function* bytesOfEach(chunks: AsyncIterable<unknown>): AsyncGenerator<Uint8Array> {
  for await (const chunk of chunks) yield bytesOf(chunk)
}

async function* resumed({ chunks, rest }: PartlyRead): AsyncGenerator<Uint8Array> {
  yield* chunks
  if (rest === undefined) return
  for (let next = await rest.read(); !next.done; next = await rest.read()) yield next.value
}
