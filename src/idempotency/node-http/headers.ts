import type { OutgoingHttpHeader, ServerResponse } from 'node:http'
import type { HeaderLine } from '../answer.ts'

/** Where headers are kept: a node:http response, or a framework's own. */
export interface HeaderHolder {
  getHeaders(): Readonly<Record<string, OutgoingHttpHeader | undefined>>
  setHeader(name: string, value: number | string | string[]): unknown
  removeHeader(name: string): unknown
}

/** The headers that were set since `entry` was taken, as lines. */
export function linesSince(response: HeaderHolder, entry: HeadersOnEntry): HeaderLine[] {
  const lines: HeaderLine[] = []
  const headers = response.getHeaders()
  for (const name of Object.keys(headers)) {
    const value = headers[name]
    if (value === undefined || entry.has(name, value)) continue
    if (Array.isArray(value)) for (const text of value) lines.push([name, text])
    else lines.push([name, String(value)])
  }
  return lines
}

/** What middleware outside had set before the handler ran: a replay passes through it as well, and gets its own. */
export class HeadersOnEntry {
  readonly #response: HeaderHolder
  readonly #headers: Readonly<Record<string, OutgoingHttpHeader | undefined>>

  constructor(response: HeaderHolder) {
    this.#response = response
    this.#headers = response.getHeaders()
  }

  has(name: string, value: OutgoingHttpHeader): boolean {
    const before = this.#headers[name]
    return before !== undefined && String(before) === String(value)
  }

  /** Takes back whatever was set since. */
  restore(): void {
    for (const name of Object.keys(this.#response.getHeaders())) this.#response.removeHeader(name)
    for (const [name, value] of Object.entries(this.#headers)) {
      if (value !== undefined) this.#response.setHeader(name, value)
    }
  }
}

export function setLines(response: HeaderHolder, lines: readonly HeaderLine[]): void {
  const values = new Map<string, string | string[]>()
  for (const [name, value] of lines) {
    const lower = name.toLowerCase()
    const earlier = values.get(lower)
    values.set(lower, earlier === undefined ? value : [earlier, value].flat())
  }
  for (const [name, value] of values) response.setHeader(name, value)
}

/** As `writeHead` does: a name given here replaces what was set before, and may come several times. */
export function setWriteHeadHeaders(response: ServerResponse, headers: unknown): void {
  if (!Array.isArray(headers)) {
    for (const [name, value] of Object.entries(Object(headers) as object)) setHeader(response, name, value)
    return
  }
  const values = new Map<string, unknown[]>()
  for (const [name, value] of pairsOf(headers)) {
    if (value !== undefined) values.set(name, [...(values.get(name) ?? []), value])
  }
  for (const [name, given] of values) {
    setHeader(response, name, given.flat())
  }
}

function setHeader(response: ServerResponse, name: string, value: unknown): void {
  if (value === undefined) return
  // oxlint-disable-next-line typescript/no-base-to-string -- as Node has it
  if (!Array.isArray(value)) response.setHeader(name, String(value))
  else response.setHeader(name, value.length === 1 ? String(value[0]) : value.map(String))
}

/** Besides an object `writeHead` takes a flat list of names and values, or a list of pairs. */
function* pairsOf(headers: readonly unknown[]): Generator<readonly [name: string, value: unknown]> {
  let name: string | undefined
  for (const entry of headers) {
    if (name !== undefined) {
      yield [name, entry]
      name = undefined
    } else if (Array.isArray(entry)) yield [String(entry[0]), entry[1]]
    else name = String(entry)
  }
}
