import { connect, createServer, type AddressInfo, type Socket } from 'node:net'
import { expect, test } from 'vitest'
import { resetSocket } from './reset-socket.ts'

/** What a client sees when `act` is done to a fresh connection, once the server's socket is gone too. */
async function afterwards(act: (socket: Socket) => void): Promise<string> {
  let closed = (): void => {}
  const gone = new Promise<void>((resolve) => (closed = resolve))
  const server = createServer((socket) => {
    socket.on('error', () => {})
    socket.on('close', closed)
    act(socket)
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const client = connect((server.address() as AddressInfo).port, '127.0.0.1')
  const seen = new Promise<string>((resolve) => {
    client.once('error', (error) => resolve('code' in error ? String(error.code) : error.message))
    client.once('end', () => resolve('ended'))
  })
  client.resume()
  const code = await seen
  await gone
  server.close()
  return code
}

test('a connection is cut with a reset', async () => {
  expect(await afterwards(resetSocket)).toBe('ECONNRESET')
})

test('one that is being shut down is gone as well', async () => {
  const shuttingDown = afterwards((socket) => {
    socket.end()
    resetSocket(socket)
  })
  expect(await shuttingDown).toBe('ended')
})
