import type { IncomingMessage } from 'node:http'

/** Sees a request's body while it arrives, without reading it. */
export interface BodyObserver {
  /** What the parser pushes; `null` at the end. */
  pushed(chunk: unknown, encoding: BufferEncoding | undefined): void
  /** The request was destroyed before its end. */
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

/** Intercepts `push` and `destroy` of a request that nobody has read yet. */
class Guard {
  readonly #request: IncomingMessage
  /** Another layer's, for the same request. */
  readonly #outer: Guard | undefined
  readonly #own: ReadonlyMap<MethodName, unknown> | undefined
  #observer: BodyObserver | undefined

  constructor(request: IncomingMessage, observer: BodyObserver | undefined) {
    this.#request = request
    this.#observer = observer
    this.#outer = guardOf(request)
    if (this.#outer === undefined) this.#own = ownMethods(request)
  }

  push(chunk: unknown, encoding: BufferEncoding | undefined): boolean {
    const wantsMore = this.#outer?.push(chunk, encoding) ?? this.#call('push', chunk, encoding) === true
    if (this.#observer === undefined) return wantsMore
    this.#observer.pushed(chunk, encoding)
    // Nobody reads yet, so a full buffer must not pause the socket; the observer has a limit of its own.
    return true
  }

  destroy(error: Error | undefined): void {
    const request = this.#request
    if (leftByClient(error) && request.complete && !request.readableEnded) {
      keepReadable(request)
      return
    }
    this.#observer?.gone()
    if (this.#outer === undefined) this.#call('destroy', error)
    else this.#outer.destroy(error)
  }

  leave(): void {
    this.#observer = undefined
    // It was added last, and deleting that one does not put the request into V8's dictionary mode.
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
 * body-parser 2 skips the body of a request whose socket is not readable any more. Where the body has arrived all the
 * same (`keepUnread`), gives the request a view of its socket that says it is.
 */
export function keepReadable(request: IncomingMessage): void {
  const { socket } = request
  // Undefined on a mocked socket: only `false` counts.
  const isReadable: unknown = socket.readable
  if (isReadable !== false || guardOf(request) === undefined) return
  const readable = new Proxy(socket, {
    get: (target, name) => name === 'readable' || (Reflect.get(target, name) as unknown),
  })
  Reflect.set(request, 'socket', readable)
}

/** Methods that somebody else has already replaced on this request. */
function ownMethods(request: IncomingMessage): Map<MethodName, unknown> | undefined {
  let own: Map<MethodName, unknown> | undefined
  for (const name of ['push', 'destroy'] as const)
    if (Object.hasOwn(request, name)) (own ??= new Map()).set(name, Reflect.get(request, name))
  return own
}

/**
 * Keeps the body of a request whose client disconnects after its last byte: Node would drop what nobody has read yet,
 * and the handler would fail although everything has arrived.
 *
 * @returns a function that stops the observer; the body stays protected
 */
export function keepUnread(request: IncomingMessage, observer?: BodyObserver): () => void {
  const guard = new Guard(request, observer)
  Reflect.set(request, GUARD, guard)
  request.destroy = destroy
  request.push = push
  return () => guard.leave()
}

/** The error with which Node's server destroys a request whose connection was closed. */
const leftByClient = (error: Error | undefined): boolean =>
  error !== undefined && 'code' in error && error.code === 'ECONNRESET' && error.message === 'aborted'
