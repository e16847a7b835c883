import type { ServerResponse } from 'node:http'

/** Hides a response's socket from code that asks it whether the client is still connected: `on-finished` and its users. */
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
    // Where `on-finished` keeps its listeners: those from outside stay on the socket, those from inside start anew.
    Reflect.set(this.#response, '__onFinished', undefined)
  }

  show(): void {
    const socket = this.#socket
    if (socket === null) return
    this.#socket = null
    this.#set(socket)
    // As Node does when it assigns a socket to a response.
    this.#response.emit('socket', socket)
  }

  /** Runs `write` with the socket in place: without one Node would queue what is written, and send it after the head. */
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
