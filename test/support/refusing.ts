import { once } from 'node:events'
import { connect, createServer, type AddressInfo } from 'node:net'
import { expect, onTestFinished } from 'vitest'

/**
 * A port of loopback that refuses connections until the test ends. It is one that an open connection goes out by: one
 * that was freed may be somebody else's server a moment later, and on a busy machine it is.
 */
export async function refusingPort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const socket = connect((server.address() as AddressInfo).port, '127.0.0.1')
  onTestFinished(() => {
    socket.destroy()
    server.close()
  })
  await once(socket, 'connect')
  return socket.localPort ?? expect.unreachable()
}
