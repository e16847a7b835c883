import { once } from 'node:events'
import { connect, createServer, type AddressInfo, type Server, type Socket } from 'node:net'

/** `open`: everything passes; `silent`: nothing comes back; `shut`: connections are cut, and new ones refused. */
export type GateState = 'open' | 'silent' | 'shut'

/** Stands before a server, and lets it fail for whoever comes through here. */
export class Gate implements AsyncDisposable {
  readonly #server: Server
  readonly #sockets = new Set<Socket>()
  #state: GateState = 'open'

  private constructor(port: number, host: string) {
    this.#server = createServer((client) => this.#join(client, connect(port, host)))
  }

  /** @param url of the server behind it */
  static async before(url: string): Promise<Gate> {
    const { hostname, port } = new URL(url)
    const gate = new Gate(Number(port), hostname)
    gate.#server.listen(0, '127.0.0.1')
    await once(gate.#server, 'listening')
    return gate
  }

  /** The server's URL, through the gate. */
  through(url: string): string {
    const changed = new URL(url)
    changed.hostname = '127.0.0.1'
    changed.port = String((this.#server.address() as AddressInfo).port)
    return changed.href
  }

  set state(state: GateState) {
    this.#state = state
    if (state === 'shut') this.cut()
  }

  /** Resets every connection, as a server does that is started anew. */
  cut(): void {
    for (const socket of this.#sockets) socket.resetAndDestroy()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#server.close()
    this.cut()
  }

  #join(client: Socket, server: Socket): void {
    const sockets = [client, server]
    for (const socket of sockets) {
      this.#sockets.add(socket)
      socket
        .on('error', () => {})
        .once('close', () => {
          this.#sockets.delete(socket)
          for (const other of sockets) other.destroy()
        })
    }
    if (this.#state === 'shut') return void client.resetAndDestroy()
    client.on('data', (bytes) => server.write(bytes))
    server.on('data', (bytes) => this.#state === 'open' && client.write(bytes))
  }
}
