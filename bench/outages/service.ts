import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'

/** A service that answers by a plan, and remembers when it was asked, by client. */
export interface Service extends AsyncDisposable {
  urlOf(client: number): string
  /** When requests of a client came, in milliseconds from `begin()`. */
  arrivalsOf(client: number): readonly number[]
  /** From now on time counts, and requests do. Before it is always up. */
  begin(): void
}

/** @param isDown whether a request fails, by the milliseconds since `begin()` */
export async function startService(isDown: (atMs: number) => boolean): Promise<Service> {
  const arrivals = new Map<number, number[]>()
  let beganMs = Infinity
  const server = createServer((request, response) => {
    const client = Number(request.url?.slice(1))
    const atMs = performance.now() - beganMs
    const known = arrivals.get(client)
    if (known === undefined) arrivals.set(client, [atMs])
    else known.push(atMs)
    response.writeHead(atMs >= 0 && isDown(atMs) ? 503 : 200, { 'content-type': 'text/plain' }).end('.')
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  return {
    urlOf: (client) => `http://127.0.0.1:${port}/${client}`,
    arrivalsOf: (client) => arrivals.get(client) ?? [],
    begin() {
      arrivals.clear()
      beganMs = performance.now()
    },
    async [Symbol.asyncDispose]() {
      server.closeAllConnections()
      server.close()
      await once(server, 'close')
    },
  }
}
