import type { OutgoingHttpHeader, ServerResponse } from 'node:http'
import type { HeaderLine } from '../answer.ts'

const texts = (value: unknown): readonly string[] =>
  Array.isArray(value) ? value.map(String) : [String(value)]

/** Where headers are kept: a node:http response, or a framework's own. */
export interface HeaderHolder {
  getHeaders(): Readonly<Record<string, OutgoingHttpHeader | undefined>>
  setHeader(name: string, value: number | string | string[]): unknown
  removeHeader(name: string): unknown
}

/** The headers that were set since `entry` was taken, as lines. */
export function linesSince(response: HeaderHolder, entry: HeadersOnEntry): HeaderLine[] {
  const lines: HeaderLine[] = []
  for (const [name, value] of Object.entries(response.getHeaders())) {
    if (value === undefined || entry.has(name, value)) continue
    for (const text of texts(value)) lines.push([name, text])
  }
  return lines
}

/** What middleware outside had set before the handler ran: a replay passes through it as well, and gets its own. */
export class HeadersOnEntry {
  readonly #response: HeaderHolder
  readonly #headers: ReadonlyMap<string, OutgoingHttpHeader>

  constructor(response: HeaderHolder) {
    this.#response = response
    const headers = new Map<string, OutgoingHttpHeader>()
    for (const [name, value] of Object.entries(response.getHeaders())) {
      if (value !== undefined) headers.set(name, value)
    }
    this.#headers = headers
  }

  has(name: string, value: OutgoingHttpHeader): boolean {
    const before = this.#headers.get(name)
    return before !== undefined && String(before) === String(value)
  }

  /** Takes back whatever was set since. */
  restore(): void {
    for (const name of Object.keys(this.#response.getHeaders())) this.#response.removeHeader(name)
    for (const [name, value] of this.#headers) this.#response.setHeader(name, value)
  }
}

export function setLines(response: HeaderHolder, lines: readonly HeaderLine[]): void {
  const values = new Map<string, string[]>()
  for (const [name, value] of lines) {
    const lower = name.toLowerCase()
    values.set(lower, [...(values.get(lower) ?? []), value])
  }
  for (const [name, [first = '', ...more]] of values) {
    response.setHeader(name, more.length === 0 ? first : [first, ...more])
  }
}

/** As `writeHead` does: a name given here replaces what was set before, and may come several times. */
export function setWriteHeadHeaders(response: ServerResponse, headers: unknown): void {
  const values = new Map<string, unknown[]>()
  for (const [name, value] of pairsOf(headers)) {
    if (value !== undefined) values.set(name, [...(values.get(name) ?? []), value])
  }
  for (const [name, given] of values) {
    const lines = given.flatMap(texts)
    response.setHeader(name, lines.length === 1 ? (lines[0] ?? '') : lines)
  }
}

/** `writeHead` takes an object, a flat list of names and values, or a list of pairs. */
function* pairsOf(headers: unknown): Generator<readonly [name: string, value: unknown]> {
  if (!Array.isArray(headers)) {
    if (typeof headers === 'object' && headers !== null) yield* Object.entries(headers)
    return
  }
  let name: string | undefined
  for (const entry of headers) {
    if (name !== undefined) {
      yield [name, entry]
      name = undefined
    } else if (Array.isArray(entry)) yield [String(entry[0]), entry[1]]
    else name = String(entry)
  }
}
