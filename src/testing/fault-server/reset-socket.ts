import type { Socket } from 'node:net'

/**
 * Cuts a connection with a TCP reset. One that is being shut down already is closed: there Node's reset fails, leaves
 * the socket open for ever, and lets the process spin when it ends (seen on Node 20).
 */
export function resetSocket(socket: Socket): void {
  if (socket.writableEnded) socket.destroy()
  else socket.resetAndDestroy()
}
