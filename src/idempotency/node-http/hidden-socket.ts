import type { ServerResponse } from 'node:http'

/** Keeps a response's socket out of sight of those who ask it whether the client is there: `on-finished`, and all that uses it. */
export class HiddenSocket {
  readonly #response: ServerResponse
  #socket: ServerResponse['socket'] = null
  /** HTTP/2 has a getter, which can't be set. */
  #isInherited = false

  constructor(response: ServerResponse) {
    this.#response = response
  }

  hide(): void {
    const { socket } = this.#response
    if (!socket) return
    this.#isInherited = !Object.hasOwn(this.#response, 'socket')
    this.#socket = socket
    this.#set(null)
    // Where it keeps its listeners: those from outside stay on the socket, those from inside begin anew.
    Reflect.set(this.#response, '__onFinished', undefined)
  }

  show(): void {
    const socket = this.#socket
    if (socket === null) return
    this.#socket = null
    this.#set(socket)
    // As when a response is given its socket.
    this.#response.emit('socket', socket)
  }

  /** For what is to leave now: without a socket Node would keep it, and send it behind the head. */
  shownTo<T>(write: () => T): T {
    const socket = this.#socket
    if (socket === null) return write()
    this.#set(socket)
    try {
      return write()
    } finally {
      this.#set(null)
    }
  }

  #set(value: ServerResponse['socket']): void {
    const response = this.#response
    if (!this.#isInherited) Reflect.set(response, 'socket', value)
    else if (value === null) Object.defineProperty(response, 'socket', { value, configurable: true })
    else Reflect.deleteProperty(response, 'socket')
  }
}
