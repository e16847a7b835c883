import type { Socket } from 'node:net'
import { resetSocket } from '../../../src/testing/fault-server/reset-socket.ts'
import type { Direction } from '../plan/plan.ts'
import type { LinkFault } from '../plan/link-faults.ts'

export type Way = Exclude<Direction, 'both'>

export interface ConnectionOptions {
  readonly client: Socket
  readonly upstream: Socket
  /** What befalls the next message of the client. */
  readonly nextFault: () => LinkFault | undefined
  /** Waits while the way is cut; resolves to whether the connection lives on. */
  readonly passable: (direction: Way) => Promise<boolean>
}

type Flow = 'open' | 'drop-next-answer' | 'silent'

/** Two sockets, joined; what passes from one to the other passes in order. */
export class Connection {
  readonly #options: ConnectionOptions
  readonly #turns: Record<Way, Promise<void>> = { up: Promise.resolve(), down: Promise.resolve() }
  #answers: Flow = 'open'

  constructor(options: ConnectionOptions) {
    this.#options = options
    const { client, upstream } = options
    for (const socket of [client, upstream]) socket.setNoDelay(true).on('error', () => {})
    client.on('data', (bytes: Buffer) => this.#inTurn('up', () => this.#sendUp(bytes)))
    upstream.on('data', (bytes: Buffer) => this.#inTurn('down', () => this.#sendDown(bytes)))
    client.on('close', (failed) => this.#inTurn('up', () => this.#close('up', failed)))
    upstream.on('close', (failed) => this.#inTurn('down', () => this.#close('down', failed)))
  }

  /** Ends both sides without a farewell. */
  reset(): void {
    for (const socket of [this.#options.client, this.#options.upstream]) resetSocket(socket)
  }

  #inTurn(way: Way, work: () => Promise<void>): void {
    this.#turns[way] = this.#turns[way].then(work)
  }

  async #sendUp(bytes: Buffer): Promise<void> {
    const fault = this.#options.nextFault()
    if (fault?.kind === 'delay') await pause(fault.ms)
    if (fault?.kind === 'reset' || fault?.kind === 'request dropped') return this.reset()
    if (fault?.kind === 'answer dropped') this.#answers = 'drop-next-answer'
    if (fault?.kind === 'silence') {
      this.#answers = 'silent'
      setTimeout(() => this.reset(), fault.ms).unref()
    }
    await this.#pass('up', this.#options.upstream, bytes)
  }

  async #sendDown(bytes: Buffer): Promise<void> {
    if (this.#answers === 'silent') return
    if (this.#answers === 'drop-next-answer') return this.reset()
    await this.#pass('down', this.#options.client, bytes)
  }

  async #pass(direction: Way, to: Socket, bytes: Buffer): Promise<void> {
    if (!(await this.#options.passable(direction))) this.reset()
    else if (!to.destroyed) to.write(bytes)
  }

  /** An end travels the same way as the bytes before it. */
  async #close(direction: Way, failed: boolean): Promise<void> {
    const other = direction === 'up' ? this.#options.upstream : this.#options.client
    const lives = await this.#options.passable(direction)
    if (failed || !lives) resetSocket(other)
    else other.end()
  }
}

export const pause = (ms: number): Promise<void> =>
  new Promise((resolve) => {
    setTimeout(resolve, ms)
  })
