import { validateHeaderValue, type ServerResponse } from 'node:http'
import { isEventStream, type Answer, type HandlerResponse } from '../answer.ts'
import type { Verdict } from '../verdict.ts'
import type { HeldResponse } from '../held-response.ts'
import {
  bytesOf,
  failLater,
  failWrite,
  headersSent,
  isCallback,
  reasonOf,
  sentStatus,
  setReason,
  type Callback,
} from './as-node.ts'
import { FeignedEnd } from './feigned-end.ts'
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

/** Asked once the response is known; what it says is then done to the response. */
export type OnResponse = (response: HandlerResponse) => Verdict | Promise<Verdict>

/** The client left, or the handler cut its response off. */
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
  /** Before this layer was entered. */
  readonly #begunOutside: boolean
  #chunks: Uint8Array[] = []
  #length = 0
  #head: Head | undefined
  #flushed = false
  #ended = false
  #endCallback: Callback | undefined
  #needsDrain = false
  #feigned: FeignedEnd | undefined
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

  /** Sends something else, whatever the handler has written, or goes on to write: it comes to its end all the same. */
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

  /** Nobody knows the whole of a response of which something left past this layer; that it was given is known. */
  noticeLeak(): void {
    if (this.#state !== 'open' || this.#begunOutside || !this.#hasLeaked) return
    this.#closeHead()
    this.#decide(undefined)
  }

  /** The handler is in a transaction from here on, until one of both is called. */
  feignEnd(): HeldResponse {
    const response = this.#response
    this.#feigned = new FeignedEnd(response)
    this.#before = {
      headers: new HeadersOnEntry(response),
      status: response.statusCode,
      message: reasonOf(response),
      head: this.#head,
      chunks: this.#chunks.length,
    }
    const stop = (): void => void (this.#feigned = undefined)
    const discard = (): void => {
      stop()
      // What is decided is taken back by its verdict.
      if (this.#state === 'open') this.#reset()
    }
    return { release: stop, discard }
  }

  /** Calls back when nobody is there any more to get a response. */
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

  /** Tells the handler that the client is gone, so that it can clean up. What it still responds is recorded. */
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
      // Who asks whether there is a head by Node's own field (express-session, older versions of compression) is told no.
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
        if (this.#head !== undefined) throw headersSent()
        return this.#originals.call(name, args)
    }
  }

  /** A response that has made way for another one takes what is still written to it: to Node that is an error. */
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

  /** By the `stream` of HTTP/2, or by who wrote before this layer was entered. */
  get #hasLeaked(): boolean {
    return this.#originals.read('headersSent') === true
  }

  /** The handler itself wants no response. */
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
    if (this.#head !== undefined) throw headersSent()
    const code = sentStatus(status)
    const [message, headers] = typeof rest[0] === 'string' ? rest : [undefined, rest[0] ?? rest[1]]
    this.#response.statusCode = code
    if (typeof message === 'string') setReason(this.#response, message)
    setWriteHeadHeaders(this.#response, headers)
    this.#closeHead()
    return this.#response
  }

  /** What Node would throw when it sends the head, it has to throw now: later there is nobody to catch it. */
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
    // In a transaction nothing can drain, and all is kept.
    this.#needsDrain = this.#state === 'deciding' && this.#feigned === undefined
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
    if (this.#feigned === undefined) this.#endCallback = callback
    else this.#feigned.tell(callback)
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

  /** As Node does: who has put himself before `writeHead` (`on-headers`) has the last word on status and headers. */
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
      // Nobody is there to catch it; the client gets no answer, and asks again.
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
      // They have had it: Node is going to write the head that is recorded.
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
