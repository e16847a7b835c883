import { randomUUID } from 'node:crypto'
import { once } from 'node:events'
import { connect, type Socket } from 'node:net'

/** What every server answers with, whether it makes the order or has kept it. */
const ANSWER = '{"id":7,"sku":"anchor","state":"confirmed"}'

/** `new`: another key for each request; `known`: keys whose response is recorded. */
export type Keys = 'new' | 'known'

const KNOWN = Array.from({ length: 100 }, () => randomUUID())
const BODY = '{"sku":"anchor","quantity":3,"note":"leave it with the harbour master"}'

/**
 * Connections that stay, each with one request at a time.
 *
 * Why not a library: the load comes from the other core, and with autocannon it took longer to ask (22 us of CPU a
 * request) than the bare handler took to answer (17 us): the load was measured, and not the server. Here it takes 11 us.
 */
export class Load {
  readonly #sockets: readonly Socket[]
  #sent = 0

  private constructor(sockets: readonly Socket[]) {
    this.#sockets = sockets
  }

  static async open(port: number, connections: number): Promise<Load> {
    const sockets = Array.from({ length: connections }, () => connect({ port, noDelay: true }))
    await Promise.all(sockets.map((socket) => once(socket, 'connect')))
    return new Load(sockets)
  }

  /** @returns how many milliseconds all of them took */
  async send(keys: Keys, requests: number): Promise<number> {
    const startMs = performance.now()
    let left = requests
    const next = (): string | undefined => (left-- > 0 ? this.#request(keys) : undefined)
    await Promise.all(this.#sockets.map((socket) => converse(socket, next)))
    return performance.now() - startMs
  }

  /** Makes sure that the known keys have a response. */
  async record(): Promise<void> {
    await this.send('known', KNOWN.length)
  }

  close(): void {
    for (const socket of this.#sockets) socket.destroy()
  }

  #request(keys: Keys): string {
    const key = keys === 'new' ? randomUUID() : KNOWN[this.#sent++ % KNOWN.length]
    return (
      'POST /orders HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: keep-alive\r\nContent-Type: application/json\r\n' +
      `Authorization: Bearer benchmark\r\nIdempotency-Key: ${key}\r\nContent-Length: ${BODY.length}\r\n\r\n${BODY}`
    )
  }
}

/** Sends what `next` gives, each when the one before is answered, until it gives nothing. */
function converse(socket: Socket, next: () => string | undefined): Promise<void> {
  return new Promise((resolve, reject) => {
    let text = ''
    const end = (error?: Error): void => {
      socket.off('data', take).off('error', end).off('close', closed)
      if (error === undefined) resolve()
      else reject(error)
    }
    const closed = (): void => end(new Error('the server closed the connection'))
    const ask = (): void => {
      const request = next()
      if (request === undefined) end()
      else socket.write(request, 'latin1')
    }
    const take = (bytes: Buffer): void => {
      text += bytes.toString('latin1')
      if (!isWhole(text)) return
      // A server that refuses is quick, and its figures would be worth nothing.
      if (!text.startsWith('HTTP/1.1 201 ') || !text.endsWith(ANSWER))
        return end(new Error(`the server refused a request: ${text}`))
      text = ''
      ask()
    }
    socket.on('data', take).on('error', end).on('close', closed)
    ask()
  })
}

/** Whether a response is there to its end; all of the benchmark's say how long they are. */
function isWhole(text: string): boolean {
  const head = text.indexOf('\r\n\r\n')
  if (head < 0) return false
  const length = /\r\ncontent-length: (\d+)/i.exec(text)?.[1]
  if (length === undefined) throw new Error(`a response does not say its length: ${text}`)
  return text.length >= head + 4 + Number(length)
}
