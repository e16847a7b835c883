import { once } from 'node:events'
import type { Server } from 'node:net'

/** A server on a free port of loopback. */
export async function listening<T extends Server>(server: T): Promise<T> {
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return server
}
