/** Requests over node:http, which sends header lines as they are: `fetch` would join, trim or refuse them. */
import { setMaxListeners } from 'node:events'
import { request as httpRequest, type IncomingMessage, type RequestOptions } from 'node:http'
import { request as httpsRequest } from 'node:https'
import { connect, isIP, type Socket } from 'node:net'
import { connect as connectTls } from 'node:tls'
import type { Exchange, Reply } from './exchange.ts'

/** Never rejects: a reply that did not come has the status 0 and says why. */
export function exchange({ method, url, headers, body, signal, gate }: Exchange): Promise<Reply> {
  // Fifty requests at once listen to one signal, and Node would warn of a leak.
  setMaxListeners(0, signal)
  return new Promise((resolve) => {
    const open = url.protocol === 'https:' ? httpsRequest : httpRequest
    // A connection of its own: one that is kept may be closed by the server at the wrong moment.
    const options: RequestOptions = { method, headers: { ...headers }, signal, agent: false }
    const outgoing = open(url, options, (incoming) => void read(incoming).then(resolve))
    // Only the first counts: a server may refuse a body, and close before it has read it.
    outgoing.on('error', (error) => {
      void gate?.arrive()
      resolve(noReply(error))
    })
    if (gate === undefined) {
      outgoing.end(body)
      return
    }
    const connected = url.protocol === 'https:' ? 'secureConnect' : 'connect'
    outgoing.once('socket', (socket) =>
      socket.once(connected, () => void gate.arrive().then(() => outgoing.end(body))),
    )
  })
}

async function read(incoming: IncomingMessage): Promise<Reply> {
  const chunks: Uint8Array[] = []
  try {
    for await (const chunk of incoming) chunks.push(chunk)
  } catch {
    // What has come is what was answered; a body that was cut differs from what is expected.
  }
  const headers = Object.entries(incoming.headersDistinct).map(([name, values]): [string, string[]] => [
    name,
    values ?? [],
  ])
  return { status: incoming.statusCode ?? 0, headers: new Map(headers), body: Buffer.concat(chunks) }
}

function noReply(error: Error): Reply {
  const code = 'code' in error && typeof error.code === 'string' ? error.code : error.message
  return { status: 0, headers: new Map(), body: new Uint8Array(), error: code }
}

/** Writes a request byte by byte, for what no HTTP client sends. Only the status of the reply is read. */
export function exchangeBytes(url: URL, lines: readonly string[], signal: AbortSignal): Promise<Reply> {
  return new Promise((resolve) => {
    const port = url.port === '' ? (url.protocol === 'https:' ? 443 : 80) : Number(url.port)
    const host = url.hostname.replaceAll(/[[\]]/g, '')
    const socket: Socket =
      url.protocol === 'https:'
        ? connectTls({ host, port, servername: isIP(host) === 0 ? host : '' })
        : connect({ host, port })
    const chunks: Uint8Array[] = []
    const stop = (): void => void socket.destroy()
    const settle = (error: Error): void => {
      signal.removeEventListener('abort', stop)
      const status = Number(/^HTTP\/1\.\d (\d{3})/.exec(Buffer.concat(chunks).toString('latin1'))?.[1] ?? 0)
      resolve(status === 0 ? noReply(error) : { status, headers: new Map(), body: new Uint8Array() })
    }
    signal.addEventListener('abort', stop)
    if (signal.aborted) stop()
    socket.on('data', (chunk) => chunks.push(chunk))
    socket.on('error', settle)
    socket.on('close', () => settle(new Error('connection closed')))
    socket.write(Buffer.from(`${lines.join('\r\n')}\r\n\r\n`, 'latin1'))
  })
}
