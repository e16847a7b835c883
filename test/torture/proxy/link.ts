import { once } from 'node:events'
import { connect, createServer, type Server, type Socket } from 'node:net'
import { resetSocket } from '../../../src/testing/fault-server/reset-socket.ts'
import type { LinkFault } from '../plan/link-faults.ts'
import type { Partition } from '../plan/plan.ts'
import { Connection, pause, type Way } from './connection.ts'

/** Where a connection is led. */
export interface Target {
  readonly host: string
  readonly port: number
}

export interface LinkOptions<T extends Target> {
  /** Where the next connection goes; nowhere: it is refused. */
  readonly pick: () => T | undefined
  readonly faultFor: (connection: number, message: number) => LinkFault | undefined
  readonly onFault: (kind: LinkFault['kind']) => void
}

interface Cut<T> {
  readonly target: T
  readonly direction: Partition['direction']
  readonly over: Promise<void>
  readonly heals: boolean
}

/** A TCP proxy that fails on purpose: single messages by chance, whole targets when told to. */
export class Link<T extends Target> {
  readonly #options: LinkOptions<T>
  readonly #server: Server
  readonly #connections = new Set<Connection>()
  readonly #cuts = new Set<Cut<T>>()
  #opened = 0

  private constructor(options: LinkOptions<T>) {
    this.#options = options
    this.#server = createServer((client) => this.#join(client))
  }

  static async open<T extends Target>(options: LinkOptions<T>): Promise<Link<T>> {
    const link = new Link(options)
    link.#server.listen(0, '127.0.0.1')
    await once(link.#server, 'listening')
    return link
  }

  get port(): number {
    const address = this.#server.address()
    if (address === null || typeof address === 'string') throw new Error('the link is not open')
    return address.port
  }

  /** Nothing passes to or from this target, in the given direction, for a while. */
  async partition(target: T, { direction, ms, heals }: Omit<Partition, 'where'>): Promise<void> {
    const over = pause(ms)
    const cut = { target, direction, over, heals }
    this.#cuts.add(cut)
    await over
    this.#cuts.delete(cut)
  }

  async close(): Promise<void> {
    const closed = once(this.#server, 'close')
    this.#server.close()
    for (const connection of this.#connections) connection.reset()
    await closed
  }

  #join(client: Socket): void {
    const target = this.#options.pick()
    if (target === undefined) {
      resetSocket(client.on('error', () => {}))
      return
    }
    const number = this.#opened++
    let message = 0
    const connection = new Connection({
      client,
      upstream: connect(target.port, target.host),
      nextFault: () => this.#draw(number, message++),
      passable: (direction) => this.#passable(target, direction),
    })
    this.#connections.add(connection)
    client.once('close', () => this.#connections.delete(connection))
  }

  #draw(connection: number, message: number): LinkFault | undefined {
    const fault = this.#options.faultFor(connection, message)
    if (fault !== undefined) this.#options.onFault(fault.kind)
    return fault
  }

  async #passable(target: T, direction: Way): Promise<boolean> {
    const inTheWay = [...this.#cuts].filter(
      (cut) => cut.target === target && (cut.direction === 'both' || cut.direction === direction),
    )
    for (const { over } of inTheWay) await over
    return inTheWay.every(({ heals }) => heals)
  }
}
