import { createServer, type Server, type Socket } from 'node:net'
import { systemClock } from '../../primitives/clock.ts'
import { resetSocket } from './reset-socket.ts'
import type { OutageKind } from './timeline.ts'

const RELISTEN_TRIES = 250
const RELISTEN_EVERY_MS = 20

/** The listening socket: lets connections in, or is gone. Counts them. */
export class Gate {
  readonly #sockets = new Set<Socket>()
  readonly #server: Server
  readonly #host: string
  #port: number
  #state: 'open' | OutageKind = 'open'
  #last: Promise<void> = Promise.resolve()
  accepted = 0
  outages = 0
  resetAtAccept = 0

  constructor(host: string, port: number, admit: (socket: Socket) => void) {
    this.#host = host
    this.#port = port
    // As `node:http` makes its own: a client may end its half and still read the answer.
    this.#server = createServer({ allowHalfOpen: true, noDelay: true }, (socket) =>
      this.#accept(socket, admit),
    )
  }

  get openSockets(): number {
    return this.#sockets.size
  }

  get origin(): string {
    return `http://${this.#host.includes(':') ? `[${this.#host}]` : this.#host}:${this.#port}`
  }

  /** Listens for the first time. */
  async listen(): Promise<void> {
    await listenOnce(this.#server, this.#host, this.#port)
    const address = this.#server.address()
    if (typeof address === 'object' && address !== null) this.#port = address.port
  }

  /** Goes away: open connections are reset at once. */
  shut(kind: OutageKind): Promise<void> {
    return this.#inTurn(async () => {
      this.outages++
      if (kind === 'refused') this.#stopListening()
      else if (this.#state === 'refused') await this.#relisten()
      this.#state = kind
      this.#resetAll()
    })
  }

  /** Comes back, on the same port. */
  open(): Promise<void> {
    return this.#inTurn(async () => {
      if (this.#state === 'refused') await this.#relisten()
      this.#state = 'open'
    })
  }

  close(): Promise<void> {
    return this.#inTurn(() => {
      this.#stopListening()
      for (const socket of this.#sockets) socket.destroy()
      return Promise.resolve()
    })
  }

  /** One change at a time: taking the port again is not instant. */
  #inTurn(change: () => Promise<void>): Promise<void> {
    const done = this.#last.then(change)
    // A failure is the caller's to hear; the next change starts anew.
    this.#last = done.catch(() => {})
    return done
  }

  #accept(socket: Socket, admit: (socket: Socket) => void): void {
    if (this.#state !== 'open') {
      this.resetAtAccept++
      resetSocket(socket)
      return
    }
    this.accepted++
    this.#sockets.add(socket)
    socket.once('close', () => this.#sockets.delete(socket))
    admit(socket)
  }

  #stopListening(): void {
    if (this.#server.listening) this.#server.close()
  }

  #resetAll(): void {
    for (const socket of this.#sockets) resetSocket(socket)
  }

  /** Meanwhile the kernel may have lent the port to somebody's outgoing connection, so it is asked more than once. */
  async #relisten(): Promise<void> {
    for (let left = RELISTEN_TRIES; ; left--) {
      try {
        await listenOnce(this.#server, this.#host, this.#port)
        return
      } catch (error) {
        if (left === 0) throw error
        await new Promise<void>((resolve) => void systemClock.schedule(resolve, RELISTEN_EVERY_MS))
      }
    }
  }
}

function listenOnce(server: Server, host: string, port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', reject)
    server.listen({ host, port }, () => {
      server.off('error', reject)
      resolve()
    })
  })
}
