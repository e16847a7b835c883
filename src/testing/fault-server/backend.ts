import { Agent, createServer, request as httpRequest, type IncomingMessage } from 'node:http'
import type { AddressInfo } from 'node:net'
import { Readable } from 'node:stream'
import type { NodeListener, Settings, WebHandler } from './options.ts'

/** An answer before it is sent. Headers are name, value, name, value: nothing is merged or reordered on the way. */
export interface Reply {
  readonly status: number
  readonly statusText: string
  readonly headers: readonly string[]
  readonly body: Readable
}

export interface Ask {
  readonly incoming: IncomingMessage
  /** The request's body, where it has been read already. */
  readonly body: Uint8Array | undefined
  /** Aborts when the client has gone. */
  readonly signal: AbortSignal
}

/** What stands behind the faults. */
export interface Backend {
  answer(ask: Ask): Promise<Reply>
  close(): Promise<void>
}

export function backendFor(target: Settings['target']): Promise<Backend> | Backend {
  if (target.kind === 'web') return webBackend(target.handler)
  if (target.kind === 'node') return listenerBackend(target.listener)
  return upstreamBackend(target.origin)
}

export async function readAll(stream: AsyncIterable<Uint8Array>): Promise<Buffer> {
  const chunks: Uint8Array[] = []
  for await (const chunk of stream) chunks.push(chunk)
  return Buffer.concat(chunks)
}

function webBackend(handler: WebHandler): Backend {
  return {
    async answer(ask) {
      const response = await handler(await webRequest(ask))
      return {
        status: response.status,
        statusText: response.statusText,
        headers: [...response.headers].flat(),
        body: Readable.from(response.body ?? [], { objectMode: false }),
      }
    },
    close: () => Promise.resolve(),
  }
}

async function webRequest({ incoming, body, signal }: Ask): Promise<Request> {
  const { method = 'GET', url = '/', headers, headersDistinct } = incoming
  const init: RequestInit = {
    method,
    signal,
    headers: Object.entries(headersDistinct).flatMap(([name, values]) =>
      (values ?? []).map((value): [string, string] => [name, value]),
    ),
  }
  if (method !== 'GET' && method !== 'HEAD') init.body = Uint8Array.from(body ?? (await readAll(incoming)))
  const origin = `http://${headers.host ?? 'localhost'}`
  // A path that begins with two slashes would be taken for another host.
  return new Request(url.startsWith('/') ? origin + url : new URL(url, origin), init)
}

/** A Node listener runs on a server of its own, so that its answer can be held back or lost without patching it. */
async function listenerBackend(listener: NodeListener): Promise<Backend> {
  const server = createServer((request, response) => {
    const failed = (): void => {
      if (response.headersSent) response.destroy()
      else response.writeHead(500).end('the listener threw\n')
    }
    void (async () => listener(request, response))().catch(failed)
  })
  // An idle connection that closes by itself would be a fault that nobody ordered.
  server.keepAliveTimeout = 0
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  const proxy = upstreamBackend(new URL(`http://127.0.0.1:${port}`))
  return {
    answer: (ask) => proxy.answer(ask),
    async close() {
      await proxy.close()
      server.closeAllConnections()
      await new Promise<void>((resolve) => server.close(() => resolve()))
    },
  }
}

/** What belongs to one connection and not to the message; `Transfer-Encoding` stays, since the body's framing does. */
const HOP_BY_HOP = new Set(['connection', 'keep-alive', 'proxy-connection', 'te', 'upgrade'])

function endToEnd(rawHeaders: readonly string[]): string[] {
  return rawHeaders.filter(
    (_, index) => !HOP_BY_HOP.has((rawHeaders[index - (index % 2)] ?? '').toLowerCase()),
  )
}

function upstreamBackend(origin: URL): Backend {
  const agent = new Agent({ keepAlive: true })
  return {
    answer: ({ incoming, body, signal }) =>
      new Promise((resolve, reject) => {
        const outgoing = httpRequest(
          {
            agent,
            signal,
            hostname: origin.hostname,
            port: origin.port,
            method: incoming.method,
            path: incoming.url,
            headers: endToEnd(incoming.rawHeaders),
          },
          (response) =>
            resolve({
              status: response.statusCode ?? 502,
              statusText: response.statusMessage ?? '',
              headers: endToEnd(response.rawHeaders),
              body: response,
            }),
        )
        outgoing.once('error', reject)
        if (body === undefined) incoming.pipe(outgoing)
        else outgoing.end(body)
      }),
    close: () => Promise.resolve(agent.destroy()),
  }
}
