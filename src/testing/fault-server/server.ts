import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { Timer } from '../../primitives/clock.ts'
import { backendFor, type Backend } from './backend.ts'
import { Exchange } from './exchange.ts'
import type { Fault } from './faults.ts'
import { Gate } from './gate.ts'
import { Journal, type RequestStats } from './journal.ts'
import type { Settings } from './options.ts'
import { perform } from './perform.ts'
import type { ReceivedRequest } from './request.ts'
import { isOutage, outagesOf, type OutageKind } from './timeline.ts'

export interface FaultServerStats extends RequestStats {
  /** Connections that were ever let in. */
  readonly connections: number
  readonly openSockets: number
  /** How often the server went away. */
  readonly outages: number
  /** Connections that a `reset` outage cut; those that a `refused` one turned away never reach the server. */
  readonly resetAtAccept: number
}

export interface FaultServer extends AsyncDisposable {
  /** Its origin, such as `http://127.0.0.1:41234`, with no slash at the end. */
  readonly url: string
  /** What arrived, in order, and what became of it; live. */
  readonly requests: readonly ReceivedRequest[]
  readonly stats: FaultServerStats
  /** Goes away by hand, until `recover()`: open connections are reset, new ones refused (default) or reset. */
  outage(kind?: OutageKind): Promise<void>
  /** Comes back, on the same port. */
  recover(): Promise<void>
  /** Cuts every connection and stops. */
  close(): Promise<void>
}

export async function startFaultServer(settings: Settings): Promise<FaultServer> {
  const server = new LoopbackFaultServer(settings, await backendFor(settings.target))
  await server.start()
  return server
}

class LoopbackFaultServer implements FaultServer {
  readonly #settings: Settings
  readonly #backend: Backend
  readonly #journal: Journal
  readonly #gate: Gate
  #startMs = 0
  #timers: Timer[] = []

  constructor(settings: Settings, backend: Backend) {
    this.#settings = settings
    this.#backend = backend
    this.#journal = new Journal(settings)
    const http = createServer((incoming, outgoing) => void this.#serve(incoming, outgoing))
    // An idle connection that closes by itself would be a fault that nobody ordered.
    http.keepAliveTimeout = 0
    this.#gate = new Gate(settings.host, settings.port, (socket) => void http.emit('connection', socket))
  }

  get url(): string {
    return this.#gate.origin
  }

  get requests(): readonly ReceivedRequest[] {
    return this.#journal.requests
  }

  get stats(): FaultServerStats {
    const { accepted, openSockets, outages, resetAtAccept } = this.#gate
    return { ...this.#journal.stats, connections: accepted, openSockets, outages, resetAtAccept }
  }

  async start(): Promise<void> {
    await this.#gate.listen()
    const { clock, timeline } = this.#settings
    this.#startMs = clock.now()
    this.#timers = outagesOf(timeline).flatMap(({ fromMs, toMs, fault }) => [
      clock.schedule(() => void this.outage(fault.as), fromMs),
      clock.schedule(() => void this.recover(), toMs),
    ])
  }

  outage(kind: OutageKind = 'refused'): Promise<void> {
    return this.#gate.shut(kind)
  }

  recover(): Promise<void> {
    return this.#gate.open()
  }

  async close(): Promise<void> {
    for (const timer of this.#timers) timer.cancel()
    await this.#gate.close()
    await this.#backend.close()
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }

  async #serve(incoming: IncomingMessage, outgoing: ServerResponse): Promise<void> {
    const { clock, recordBodies } = this.#settings
    const atMs = clock.now() - this.#startMs
    const entry = this.#journal.open(incoming, atMs)
    const exchange = new Exchange({
      incoming,
      outgoing,
      entry,
      clock,
      journal: this.#journal,
      backend: this.#backend,
    })
    try {
      if (recordBodies) await exchange.readBody()
      const fault = this.#choose(entry, atMs)
      this.#journal.decided(entry, fault.kind)
      await perform(exchange, fault)
    } catch (error) {
      exchange.failed(error)
    }
  }

  #choose(request: ReceivedRequest, atMs: number): Fault {
    const window = this.#settings.timeline.find(({ fromMs, toMs }) => fromMs <= atMs && atMs < toMs)
    const fault = window === undefined || isOutage(window) ? this.#settings.choose : window.fault
    const chosen = typeof fault === 'function' ? fault(request) : fault
    return chosen === undefined || chosen.kind === 'outage' ? { kind: 'none' } : chosen
  }
}
