import type { IncomingMessage, ServerResponse } from 'node:http'
import { pipeline } from 'node:stream/promises'
import type { Clock } from '../../primitives/clock.ts'
import { readAll, type Backend, type Reply } from './backend.ts'
import type { Entry, Journal } from './journal.ts'
import { resetSocket } from './reset-socket.ts'

export interface ExchangeParts {
  readonly incoming: IncomingMessage
  readonly outgoing: ServerResponse
  readonly entry: Entry
  readonly journal: Journal
  readonly backend: Backend
  readonly clock: Clock
}

/** One request on its way through: what the faults do, they do with these. */
export class Exchange {
  readonly entry: Entry
  readonly outgoing: ServerResponse
  readonly #parts: ExchangeParts
  readonly #gone = new AbortController()

  constructor(parts: ExchangeParts) {
    this.#parts = parts
    this.entry = parts.entry
    this.outgoing = parts.outgoing
    parts.outgoing.once('close', () => {
      const answered = parts.outgoing.writableFinished
      parts.journal.close(parts.entry, answered)
      if (!answered) this.#gone.abort()
    })
  }

  get gone(): boolean {
    return this.#gone.signal.aborted
  }

  async readBody(): Promise<void> {
    this.entry.body = await readAll(this.#parts.incoming)
  }

  /** Waits; `false` when the client has left meanwhile. */
  pause(delayMs: number): Promise<boolean> {
    const { signal } = this.#gone
    if (signal.aborted) return Promise.resolve(false)
    return new Promise((resolve) => {
      const left = (): void => {
        timer.cancel()
        resolve(false)
      }
      const timer = this.#parts.clock.schedule(() => {
        signal.removeEventListener('abort', left)
        resolve(true)
      }, delayMs)
      signal.addEventListener('abort', left, { once: true })
    })
  }

  /** Runs the handler, up to the head of its answer. */
  async handle(): Promise<Reply> {
    const { backend, incoming, journal } = this.#parts
    journal.handled(this.entry)
    const reply = await backend.answer({ incoming, body: this.entry.body, signal: this.#gone.signal })
    this.entry.handlerStatus = reply.status
    return reply
  }

  /** Runs the handler to the end of its answer. */
  async handleFully(): Promise<Reply & { readonly bytes: Buffer }> {
    const reply = await this.handle()
    return { ...reply, bytes: await readAll(reply.body) }
  }

  head(status: number, statusText: string, headers: readonly string[]): void {
    this.entry.status = status
    this.outgoing.writeHead(status, statusText, [...headers])
  }

  async pass(): Promise<void> {
    const reply = await this.handle()
    this.head(reply.status, reply.statusText, reply.headers)
    // A body may be long in coming: an event stream's, say.
    this.outgoing.flushHeaders()
    await pipeline(reply.body, this.outgoing)
  }

  /** The handler (or the upstream) failed by itself: said in a way that no test takes for an ordered fault. */
  failed(error: unknown): void {
    if (this.gone) return
    if (this.outgoing.headersSent) this.outgoing.destroy()
    else {
      this.head(502, '', ['content-type', 'text/plain', 'x-fault-server', 'handler-failed'])
      this.outgoing.end(`the handler failed: ${String(error)}\n`)
    }
  }

  reset(): void {
    if (this.outgoing.socket !== null) resetSocket(this.outgoing.socket)
  }
}
