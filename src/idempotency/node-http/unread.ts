import type { IncomingMessage } from 'node:http'

/** Who looks on while a request's body arrives. */
export interface Onlooker {
  /** What the parser pushes; `null` at the end. */
  pushed(chunk: unknown, encoding: BufferEncoding | undefined): void
  gone(): void
}

type MethodName = 'push' | 'destroy'

/** Where a request keeps its guard. A property, so that objects made from the request find it, too. */
const GUARD = Symbol('holdfast.unread')

// Only `keepUnread` sets it.
const guardOf = (request: object): Guard | undefined => Reflect.get(request, GUARD) as Guard | undefined

/**
 * The replacements are the same functions for every request: with closures for each, all that belongs to a request was
 * kept until the next full collection, which took 30 of 70 us of CPU a request.
 */
function push(this: IncomingMessage, chunk: unknown, encoding?: BufferEncoding): boolean {
  return guardOf(this)?.push(chunk, encoding) === true
}

function destroy(this: IncomingMessage, error?: Error): IncomingMessage {
  guardOf(this)?.destroy(error)
  return this
}

/** Stands between a request that nobody has read and those who push to it or destroy it. */
class Guard {
  readonly #request: IncomingMessage
  /** Another layer's, for the same request. */
  readonly #outer: Guard | undefined
  readonly #own: ReadonlyMap<MethodName, unknown> | undefined
  #onlooker: Onlooker | undefined

  constructor(request: IncomingMessage, onlooker: Onlooker | undefined) {
    this.#request = request
    this.#onlooker = onlooker
    this.#outer = guardOf(request)
    if (this.#outer === undefined) this.#own = ownMethods(request)
  }

  push(chunk: unknown, encoding: BufferEncoding | undefined): boolean {
    const wantsMore = this.#outer?.push(chunk, encoding) ?? this.#call('push', chunk, encoding) === true
    if (this.#onlooker === undefined) return wantsMore
    this.#onlooker.pushed(chunk, encoding)
    // Nobody reads yet, so a full buffer must not stop the sender; the onlooker has a limit of its own.
    return true
  }

  destroy(error: Error | undefined): void {
    const request = this.#request
    if (leftByClient(error) && request.complete && !request.readableEnded) {
      keepReadable(request)
      return
    }
    this.#onlooker?.gone()
    if (this.#outer === undefined) this.#call('destroy', error)
    else this.#outer.destroy(error)
  }

  leave(): void {
    this.#onlooker = undefined
    // The last property that it got: V8 takes that one back without making a dictionary of the request.
    if (this.#own?.has('push') !== true) Reflect.deleteProperty(this.#request, 'push')
  }

  /** Looked up each time: a framework inside may give the request another class. */
  #call(name: MethodName, ...args: unknown[]): unknown {
    const original: unknown =
      this.#own?.get(name) ?? Reflect.get(Object(Object.getPrototypeOf(this.#request)), name)
    return typeof original === 'function' ? Reflect.apply(original, this.#request, args) : undefined
  }
}

/**
 * For who asks a request's socket whether there is anything to read (body-parser 2 does), and would go on without its
 * body. Nothing where the socket is as it was, or nobody keeps the body.
 */
export function keepReadable(request: IncomingMessage): void {
  const { socket } = request
  // A stand-in of a test's own may say nothing of it.
  const isReadable: unknown = socket.readable
  if (isReadable !== false || guardOf(request) === undefined) return
  const readable = new Proxy(socket, {
    get: (target, name) => name === 'readable' || (Reflect.get(target, name) as unknown),
  })
  Reflect.set(request, 'socket', readable)
}

/** Somebody else may have replaced them for this request. */
function ownMethods(request: IncomingMessage): Map<MethodName, unknown> | undefined {
  let own: Map<MethodName, unknown> | undefined
  for (const name of ['push', 'destroy'] as const)
    if (Object.hasOwn(request, name)) (own ??= new Map()).set(name, Reflect.get(request, name))
  return own
}

/**
 * A client that leaves after its last byte takes nothing along: by itself Node drops what nobody has read yet, and the
 * handler would fail for a body that has arrived.
 *
 * @returns how to look on no longer
 */
export function keepUnread(request: IncomingMessage, onlooker?: Onlooker): () => void {
  const guard = new Guard(request, onlooker)
  Reflect.set(request, GUARD, guard)
  request.destroy = destroy
  request.push = push
  return () => guard.leave()
}

/** Node's server ends a request with this error when the connection is gone. */
const leftByClient = (error: Error | undefined): boolean =>
  error !== undefined && 'code' in error && error.code === 'ECONNRESET' && error.message === 'aborted'
