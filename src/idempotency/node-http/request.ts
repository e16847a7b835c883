import type { IncomingMessage, ServerResponse } from 'node:http'
import { KEY_HEADER, type RequestView } from '../engine.ts'
import type { WhenGone } from '../waiting.ts'
import { readBody, type NodeBody } from './body.ts'

/** A node:http request as the engine sees it; also for frameworks that are built on one. */
export class NodeRequestView<Req extends object> implements RequestView<Req> {
  readonly source: Req
  readonly method: string
  readonly target: string
  readonly #request: IncomingMessage
  readonly #response: ServerResponse

  /** @param target - path and query, for frameworks that cut `request.url` */
  constructor(
    source: Req,
    request: IncomingMessage,
    response: ServerResponse,
    target: string = request.url ?? '/',
  ) {
    this.source = source
    this.#request = request
    this.#response = response
    this.method = request.method ?? 'GET'
    this.target = withoutOrigin(target)
  }

  /** Line by line: node joins them, and what two lines join to looks like one key to some. */
  get keyLines(): readonly string[] {
    return this.#request.headersDistinct[KEY_HEADER] ?? []
  }

  header(name: string): string | undefined {
    const value = this.#request.headers[name]
    return Array.isArray(value) ? value.join(', ') : value
  }

  /** The response knows: a request whose body has arrived does not close with its connection. */
  readonly whenGone: WhenGone = (callback) => {
    const response = this.#response
    if (response.closed) callback()
    response.once('close', callback)
    return () => response.off('close', callback)
  }

  body(maxBytes: number): Promise<NodeBody> {
    return readBody(this.#request, maxBytes, this.source)
  }
}

/** A proxy may send the absolute form (RFC 9112, 3.2.2). */
function withoutOrigin(target: string): string {
  const origin = /^[a-z][a-z0-9+.-]*:\/\/[^/?]*/i.exec(target)
  if (origin === null) return target
  const rest = target.slice(origin[0].length)
  return rest.startsWith('/') ? rest : `/${rest}`
}
