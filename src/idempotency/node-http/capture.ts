import { validateHeaderValue, type ServerResponse } from 'node:http'
import { isEventStream, type Answer, type HandlerResponse } from '../answer.ts'
import type { Verdict } from '../verdict.ts'
import type { HeldResponse } from '../held-response.ts'
import {
  bytesOf,
  failLater,
  failWrite,
  headersSentError,
  isCallback,
  reasonOf,
  sentStatus,
  setReason,
  type Callback,
} from './node-behaviour.ts'
import { SimulatedFinish } from './simulated-finish.ts'
import { asBuffer } from './payload.ts'
import { concat } from '../bytes.ts'
import { HeadersOnEntry, linesSince, setWriteHeadHeaders } from './headers.ts'
import { sendAnswer } from './send-answer.ts'
import { Shield } from './shield.ts'
import {
  isWrapped,
  Originals,
  replaceMembers,
  unwrap,
  type GetterName,
  type MethodName,
  type StandIn,
} from './stand-ins.ts'

/** Called once the response is known; its verdict decides what is sent. */
export type OnResponse = (response: HandlerResponse) => Verdict | Promise<Verdict>

/** Why nobody gets a response any more: the client disconnected, or the handler destroyed the response. */
export type Gone = 'closed' | 'destroyed'

interface Head {
  readonly status: number
  readonly message: string | undefined
}

/**
 * Holds back what a handler writes to a node:http response until the record is complete: not one byte leaves before.
 * The handler sees the response it would see otherwise: what it has sent counts as sent.
 *
 * A response that turns out to be a stream is settled at its first bytes, and passes through from then on.
 * A client that goes away is kept from the handler, too.
 */
export class ResponseCapture implements StandIn {
  readonly #response: ServerResponse
  readonly #onResponse: OnResponse
  readonly #maxBytes: number
  readonly #entry: HeadersOnEntry
  readonly #originals: Originals
  /** Whether something was sent before this layer was entered. */
  readonly #begunOutside: boolean
  #chunks: Uint8Array[] = []
  #length = 0
  #head: Head | undefined
  #flushed = false
  #ended = false
  #endCallback: Callback | undefined
  #needsDrain = false
  #simulatedFinish: SimulatedFinish | undefined
  /** The response as it was when its transaction began. */
  #before: (Head & { headers: HeadersOnEntry; head: Head | undefined; chunks: number }) | undefined
  #answered = false
  readonly #shield: Shield
  #gone: Gone | undefined
  #onGone: ((how: Gone) => void) | undefined
  /** `deciding`: the response is known, the record is not complete yet. `done`: the response is what it was before. */
  #state: 'open' | 'deciding' | 'done' = 'open'
  #settling: Promise<void> | undefined

  constructor(response: ServerResponse, maxBytes: number, onResponse: OnResponse) {
    this.#response = response
    this.#maxBytes = maxBytes
    this.#onResponse = onResponse
    this.#entry = new HeadersOnEntry(response)
    this.#shield = new Shield(response)
    this.#originals = new Originals(response)
    this.#begunOutside = this.#hasLeaked
    if (response.closed) this.#noticeGone('closed')
    this.#shield.raise()
    replaceMembers(response, this)
  }

  /** The handler has responded, or somebody has for it. */
  get ended(): boolean {
    return this.#ended || this.#answered
  }

  /** While a response that has ended is held back: resolves once it has left. */
  get leaving(): Promise<void> | undefined {
    return this.#ended && this.#state === 'deciding' ? this.#settling : undefined
  }

  /** Sends `answer` in place of what the handler has written; what it still writes is ignored. */
  send(answer: Answer): void {
    this.#answered = true
    this.#finish()
    this.#entry.restore()
    sendAnswer(this.#response, answer, (bytes) => this.#originals.call('end', [bytes, this.#endCallback]))
    if (this.#needsDrain) this.#response.emit('drain')
  }

  /** Sends what the handler has written, and stands back from here on. */
  release(idempotencyStatus?: string): void {
    if (this.#state !== 'done') this.#release(idempotencyStatus)
  }

  /** As if nothing had been done to the response since the transaction began. */
  discard(): void {
    if (this.#state !== 'done') this.#reset()
  }

  /** Settles a response as a stream when part of it was sent past this layer: it exists, but is not known as a whole. */
  noticeLeak(): void {
    if (this.#state !== 'open' || this.#begunOutside || !this.#hasLeaked) return
    this.#closeHead()
    this.#decide(undefined)
  }

  /** Holds the response back for a transaction, until `release` or `discard` is called; to the handler it looks sent. */
  holdForTransaction(): HeldResponse {
    const response = this.#response
    this.#simulatedFinish = new SimulatedFinish(response)
    this.#before = {
      headers: new HeadersOnEntry(response),
      status: response.statusCode,
      message: reasonOf(response),
      head: this.#head,
      chunks: this.#chunks.length,
    }
    const stop = (): void => void (this.#simulatedFinish = undefined)
    const discard = (): void => {
      stop()
      // Once it is being decided, the verdict takes it back.
      if (this.#state === 'open') this.#reset()
    }
    return { release: stop, discard }
  }

  /** Calls back when nobody is left to get a response, at once if that is so. */
  whenGone(onGone: (how: Gone) => void): void {
    this.#onGone = onGone
    if (this.#gone !== undefined) onGone(this.#gone)
  }

  hideSocket(): void {
    if (this.#state !== 'done') this.#shield.hideSocket()
  }

  showSocket(): void {
    this.#shield.showSocket()
  }

  /** Lets the handler learn that the client is gone, so that it can clean up. What it still responds is recorded. */
  unshield(): void {
    this.#shield.lower()
    if (this.#state !== 'done') this.#shield.tell((event) => this.#originals.call('emit', [event]))
  }

  /** What was called on the response. */
  call(name: MethodName, args: unknown[]): unknown {
    if (this.#state === 'done') return this.#pass(name, args)
    switch (name) {
      case 'write':
        return this.#write(args)
      case 'end':
        return this.#end(args)
      case 'writeHead':
        return this.#writeHead(args)
      // express-session and older versions of compression call it while Node's private `_header` is unset, as it is here.
      case '_implicitHeader':
        return this.#implyHead()
      case 'flushHeaders':
        return this.#flush()
      case 'emit':
        return this.#emit(args)
      case 'destroy':
        return this.#destroy(args)
      case 'writeContinue':
      case 'writeEarlyHints':
      case 'writeProcessing':
        return this.#shield.shownTo(() => this.#originals.call(name, args))
      default:
        if (this.#head !== undefined) throw headersSentError()
        return this.#originals.call(name, args)
    }
  }

  /** After another answer was sent in its place, what the handler still writes is swallowed: to Node that is an error. */
  #pass(name: MethodName, args: unknown[]): unknown {
    const isLate = this.#answered && (name === 'write' || name === 'end')
    if (!isLate || this.#originals.read('writableEnded') !== true) return this.#originals.call(name, args)
    const callback = args.find(isCallback)
    if (callback !== undefined) queueMicrotask(callback)
    return name === 'end' ? this.#response : true
  }

  /** What was read from the response. */
  read(name: GetterName): unknown {
    if (this.#state === 'done') return this.#originals.read(name)
    if (name === 'headersSent') return this.#head !== undefined
    if (name === 'writableEnded') return this.#ended
    return !this.#shield.isUp && this.#originals.read(name)
  }

  #emit(args: unknown[]): unknown {
    const [event] = args
    if (!this.#shield.holds(event)) return this.#originals.call('emit', args)
    if (event === 'close') {
      this.noticeLeak()
      this.#noticeGone('closed')
    }
    return false
  }

  /** Whether something was sent past this layer: by the `stream` of HTTP/2, or before the layer was entered. */
  get #hasLeaked(): boolean {
    return this.#originals.read('headersSent') === true
  }

  /** The handler destroys its response. */
  #destroy(args: unknown[]): unknown {
    this.#finish()
    this.#noticeGone('destroyed')
    return this.#originals.call('destroy', args)
  }

  #noticeGone(how: Gone): void {
    if (how === 'closed') this.hideSocket()
    this.#gone ??= how
    this.#onGone?.(this.#gone)
  }

  #writeHead([status, ...rest]: unknown[]): ServerResponse {
    if (this.#head !== undefined) throw headersSentError()
    const code = sentStatus(status)
    const [message, headers] = typeof rest[0] === 'string' ? rest : [undefined, rest[0] ?? rest[1]]
    this.#response.statusCode = code
    if (typeof message === 'string') setReason(this.#response, message)
    setWriteHeadHeaders(this.#response, headers)
    this.#closeHead()
    return this.#response
  }

  /** Throws now what Node would throw when it sends the head: later nobody could catch it. */
  #checkHead(): void {
    if (this.#head !== undefined) return
    sentStatus(this.#response.statusCode)
    const reason = reasonOf(this.#response)
    if (reason !== undefined) validateHeaderValue('statusMessage', reason)
  }

  #write(args: unknown[]): boolean {
    const callback = args.find(isCallback)
    if (this.#ended) {
      failWrite(this.#response, callback)
      return false
    }
    this.#checkHead()
    const bytes = bytesOf(args[0], args[1])
    this.#implyHead()
    this.#keep(bytes)
    if (callback !== undefined) queueMicrotask(callback)
    if (this.#length > this.#maxBytes) this.#decide(undefined)
    // A transaction keeps everything until its commit: `drain` would never come.
    this.#needsDrain = this.#state === 'deciding' && this.#simulatedFinish === undefined
    return !this.#needsDrain
  }

  #end(args: unknown[]): ServerResponse {
    const callback = args.find(isCallback)
    const [chunk, encoding] = args
    const isNone = !chunk || isCallback(chunk)
    if (this.#ended) {
      if (isNone) failLater(callback, 'end after end', 'ERR_STREAM_ALREADY_FINISHED')
      else failWrite(this.#response, callback)
      return this.#response
    }
    this.#checkHead()
    const bytes = isNone ? undefined : bytesOf(chunk, encoding)
    this.#implyHead()
    if (bytes !== undefined) this.#keep(bytes)
    this.#ended = true
    if (this.#simulatedFinish === undefined) this.#endCallback = callback
    else this.#simulatedFinish.finish(callback)
    this.#decide(this.#length > this.#maxBytes ? undefined : concat(this.#chunks))
    return this.#response
  }

  #flush(): void {
    this.#checkHead()
    this.#flushed = true
    this.#implyHead()
    this.#decide(undefined)
  }

  #keep(bytes: Uint8Array): void {
    this.#chunks.push(bytes)
    this.#length += bytes.length
  }

  /** As Node does: a wrapper around `writeHead` (`on-headers`) may change status and headers last. */
  #implyHead(): void {
    const response = this.#response
    if (this.#head === undefined && isWrapped(response, 'writeHead')) response.writeHead(response.statusCode)
    this.#closeHead()
  }

  /** From here on status and headers count as sent. */
  #closeHead(): void {
    if (this.#head !== undefined) return
    this.#head = { status: sentStatus(this.#response.statusCode), message: reasonOf(this.#response) }
    if (isEventStream(this.#response.getHeader('content-type'))) this.#decide(undefined)
  }

  /** The first decision counts. Without a body the response is a stream. */
  #decide(body: Uint8Array | undefined): void {
    if (this.#state !== 'open' || this.#head === undefined) return
    this.#state = 'deciding'
    const { status, message } = this.#head
    const headers = linesSince(this.#response, this.#entry)
    const whole = this.#hasLeaked ? undefined : body
    this.#settling = this.#settle({ status, statusText: message ?? '', headers, body: whole })
  }

  async #settle(response: HandlerResponse): Promise<void> {
    try {
      this.#obey(await this.#onResponse(response))
    } catch (error) {
      // Nobody could catch it. Without an answer the client asks again.
      this.#originals.call('destroy', [error])
    }
  }

  #obey(verdict: Verdict): void {
    if (this.#state === 'done') return
    if (verdict.type === 'void') this.discard()
    else if (verdict.type === 'other') this.send(verdict.answer)
    else this.release(verdict.status)
  }

  #reset(): void {
    const before = this.#before
    if (before === undefined) return
    this.#state = 'open'
    this.#response.statusCode = before.status
    setReason(this.#response, before.message)
    this.#chunks.length = before.chunks
    this.#length = this.#chunks.reduce((length, chunk) => length + chunk.length, 0)
    this.#head = before.head
    this.#flushed = false
    this.#ended = false
    if (this.#head === undefined) before.headers.restore()
  }

  #release(idempotencyStatus: string | undefined): void {
    const response = this.#response
    this.#finish()
    if (this.#head !== undefined) {
      response.statusCode = this.#head.status
      setReason(response, this.#head.message)
      // Wrappers were called when the head was closed; Node must now write the head that is recorded.
      unwrap(response, 'writeHead')
    }
    if (idempotencyStatus !== undefined && !this.#hasLeaked)
      response.setHeader('idempotency-status', idempotencyStatus)
    if (this.#flushed) this.#originals.call('flushHeaders', [])
    const bytes = this.#length === 0 ? undefined : asBuffer(concat(this.#chunks))
    if (this.#ended) this.#originals.call('end', [bytes, this.#endCallback])
    else {
      if (bytes !== undefined) this.#originals.call('write', [bytes])
      if (this.#needsDrain) response.emit('drain')
    }
    this.#chunks = []
  }

  #finish(): void {
    this.#state = 'done'
    this.#shield.end()
  }
}
