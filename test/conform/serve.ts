import { createServer, type IncomingMessage, type RequestListener, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { conformanceFixture, type ConformanceFixture } from '../../src/testing/index.ts'
import { listening } from '../support/listening.ts'

export interface Served extends AsyncDisposable {
  readonly url: string
}

/** A server on loopback for as long as it is used. */
export async function serve(listener: RequestListener): Promise<Served> {
  const server = await listening(createServer(listener))
  const { port } = server.address() as AddressInfo
  return {
    url: `http://127.0.0.1:${port}`,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections()
      await new Promise<void>((resolve) => void server.close(() => resolve()))
    },
  }
}

export async function textOf(request: IncomingMessage): Promise<string> {
  let text = ''
  for await (const chunk of request) text += String(chunk)
  return text
}

/** The fixture's handler on node:http. */
export async function answer(
  fixture: ConformanceFixture,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  const { status, headers, parts } = await fixture.answer(await textOf(request))
  response.writeHead(status, headers)
  for (const part of parts) response.write(part)
  response.end()
}

/** The fixture, its effects behind `protect`. */
export function serveFixture(
  protect: (
    effects: (request: IncomingMessage, response: ServerResponse) => Promise<void>,
  ) => RequestListener,
): Promise<Served> {
  const fixture = conformanceFixture()
  const effects = protect((request, response) => answer(fixture, request, response))
  return serve((request, response) => {
    if (request.url === '/__count') response.end(String(fixture.count))
    else effects(request, response)
  })
}
