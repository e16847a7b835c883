/** An own server that does what the table asks for, apart from the flaw it is started with. */
import { randomUUID } from 'node:crypto'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { setTimeout as sleep } from 'node:timers/promises'
import { conformanceFixture, type FixtureAnswer } from '../../src/testing/index.ts'
import { serve, textOf, type Served } from './serve.ts'

export type Flaw =
  | 'none'
  | 'forgets everything'
  | 'refuses quoted keys'
  | 'takes tokens'
  | 'takes anything for a key'
  | 'compares parameters'
  | 'ignores the body'
  | 'marks the first answer'
  | 'replays with another status'
  | 'runs errors again'
  | 'answers 409 in plain text'
  | 'refuses a missing key without a link'
  | 'refuses another body with 400'
  | 'forgets a key that was misused'
  | 'loses a key by its 409'
  | 'takes keys of any length'
  | 'one scope for all clients'
  | 'looks, then claims'
  | '409 before 422'
  | 'saves only what the client saw'
  | 'decodes binary bodies as text'
  | 'runs 204 again'
  | 'records the last piece only'
  | 'replays cookies'
  | 'ignores the query'
  | 'compares bytes'
  | 'no Retry-After'
  | 'never waits'
  | 'protects GET'
  | 'does not say ignored'
  | 'exposes nothing'
  | 'joins client and key'
  | 'takes bodies of any size'

interface Entry {
  readonly fingerprint: string
  answer: FixtureAnswer | undefined
  readonly done: Promise<void>
  finish: () => void
}

const MAX_BODY = 1_048_576

/** @param admitted Resolves when the API begins with a request. */
export async function serveFlawed(
  flaw: Flaw,
  admitted?: (response: ServerResponse) => Promise<unknown>,
): Promise<Served> {
  const api = new FlawedApi(flaw)
  return serve((request, response) => {
    if (request.url === '/__count') response.end(String(api.fixture.count))
    else if (admitted === undefined) void api.serve(request, response)
    else void admitted(response).then(() => api.serve(request, response))
  })
}

class FlawedApi {
  readonly fixture = conformanceFixture()
  readonly #flaw: Flaw
  readonly #entries = new Map<string, Entry>()

  constructor(flaw: Flaw) {
    this.#flaw = flaw
  }

  async serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { method = '', headersDistinct } = request
    const body = await textOf(request)
    this.#allowBrowsers(response)
    if (method === 'OPTIONS') return void response.writeHead(204).end()
    const lines = headersDistinct['idempotency-key'] ?? []
    if (method === 'GET' && lines.length > 0 && !this.#has('does not say ignored'))
      response.setHeader('idempotency-status', 'ignored')
    const bypasses = ['GET', 'HEAD'].includes(method) && !this.#has('protects GET')
    if (bypasses || this.#has('forgets everything')) return write(response, await this.fixture.answer(body))
    if (lines.length === 0) return refuse(response, 400, this.#has('refuses a missing key without a link'))
    const key = this.#parse(lines)
    if (key === undefined) return refuse(response, 400)
    if (body.length > MAX_BODY && !this.#has('takes bodies of any size')) return refuse(response, 413)
    await this.#protect(request, response, key, body)
  }

  #has(flaw: Flaw): boolean {
    return this.#flaw === flaw
  }

  #allowBrowsers(response: ServerResponse): void {
    response.setHeader('access-control-allow-origin', 'https://app.test')
    response.setHeader('access-control-allow-headers', 'idempotency-key')
    if (this.#has('exposes nothing')) return
    response.setHeader('access-control-expose-headers', 'Idempotent-Replayed, Retry-After')
  }

  #parse(lines: readonly string[]): string | undefined {
    const [line = ''] = lines
    if (this.#has('takes anything for a key')) return lines.join().length > 200 ? undefined : lines.join()
    if (this.#has('takes tokens') && /^t[\w-]+$/.test(line)) return line
    if (this.#has('refuses quoted keys')) return /^[\w:-]{1,200}$/.test(line) ? line : undefined
    const match = /^"([ !#-[\]-~]+)"((?:;\w+=\w+)*)$/.exec(line)
    if (lines.length > 1 || match?.[1] === undefined) return undefined
    if (match[1].length > 255 && !this.#has('takes keys of any length')) return undefined
    return this.#has('compares parameters') ? match[1] + match[2] : match[1]
  }

  async #protect(
    request: IncomingMessage,
    response: ServerResponse,
    key: string,
    body: string,
  ): Promise<void> {
    const client = this.#has('one scope for all clients') ? '' : String(request.headers['x-client'] ?? '')
    const name = this.#has('joins client and key') ? client + key : JSON.stringify([client, key])
    const fingerprint = this.#fingerprint(request, body)
    const entry = this.#entries.get(name)
    if (this.#has('looks, then claims')) await sleep(5)
    if (entry === undefined) return this.#run(name, fingerprint, request, response, body)
    const isRunning = entry.answer === undefined
    if (entry.fingerprint !== fingerprint) {
      if (this.#has('forgets a key that was misused')) this.#entries.delete(name)
      if (isRunning && this.#has('409 before 422')) return refuse(response, 409)
      return refuse(response, this.#has('refuses another body with 400') ? 400 : 422)
    }
    if (isRunning && request.headers.prefer !== undefined && !this.#has('never waits')) await entry.done
    if (entry.answer === undefined) return this.#conflict(name, response)
    this.#replay(response, entry.answer)
  }

  #fingerprint({ method, url = '' }: IncomingMessage, body: string): string {
    const target = this.#has('ignores the query') ? url.split('?')[0] : url
    return JSON.stringify([method, target, this.#has('ignores the body') ? '' : this.#canonical(body)])
  }

  #canonical(body: string): unknown {
    if (this.#has('compares bytes')) return body
    const document: unknown = JSON.parse(body === '' ? '{}' : body)
    return Object.entries(document ?? {}).toSorted(([one], [other]) => one.localeCompare(other))
  }

  #conflict(name: string, response: ServerResponse): void {
    if (this.#has('loses a key by its 409'))
      this.#entries.set(name, { ...newEntry(''), fingerprint: randomUUID() })
    if (!this.#has('no Retry-After')) response.setHeader('retry-after', '1')
    if (this.#has('answers 409 in plain text')) return void response.writeHead(409).end('conflict')
    refuse(response, 409)
  }

  async #run(
    name: string,
    fingerprint: string,
    request: IncomingMessage,
    response: ServerResponse,
    body: string,
  ): Promise<void> {
    const entry = newEntry(fingerprint)
    this.#entries.set(name, entry)
    const answer = await this.fixture.answer(body)
    if (this.#has('marks the first answer')) response.setHeader('idempotent-replayed', 'true')
    const runsAgain =
      (this.#has('runs errors again') && answer.status >= 400) ||
      (this.#has('runs 204 again') && answer.status === 204)
    if (runsAgain) this.#entries.delete(name)
    const isUnseen = this.#has('saves only what the client saw') && request.socket.destroyed
    if (!isUnseen) entry.answer = answer
    entry.finish()
    write(response, answer)
  }

  #replay(response: ServerResponse, { status, headers, parts }: FixtureAnswer): void {
    const { 'content-type': type } = headers
    const kept = this.#has('replays cookies') ? headers : type === undefined ? {} : { 'content-type': type }
    response.setHeader('idempotent-replayed', 'true')
    write(response, {
      status: this.#has('replays with another status') ? 200 : status,
      headers: kept,
      parts: this.#has('records the last piece only')
        ? parts.slice(-1)
        : parts.map((part) => this.#kept(part)),
    })
  }

  #kept(part: Uint8Array): Uint8Array {
    return this.#has('decodes binary bodies as text') ? Buffer.from(Buffer.from(part).toString()) : part
  }
}

function newEntry(fingerprint: string): Entry {
  let finish = (): void => {}
  const done = new Promise<void>((resolve) => (finish = resolve))
  return { fingerprint, answer: undefined, done, finish }
}

function write(response: ServerResponse, { status, headers, parts }: FixtureAnswer): void {
  response.writeHead(status, headers)
  for (const part of parts) response.write(part)
  response.end()
}

function refuse(response: ServerResponse, status: number, isBare = false): void {
  const type = isBare ? 'about:blank' : 'https://api.test/docs/idempotency'
  response
    .writeHead(status, { 'content-type': 'application/problem+json' })
    .end(JSON.stringify({ type, status }))
}
