export interface Exchange {
  readonly method: string
  readonly url: URL
  readonly headers: Readonly<Record<string, string | string[]>>
  readonly body: string | undefined
  readonly signal: AbortSignal
  readonly gate?: StartGate | undefined
}

/** Lets requests go at the same moment, over connections that stand already: what races meets. */
export class StartGate {
  readonly opened: Promise<void>
  #open = (): void => {}
  #awaited: number

  /** @param awaited How many requests have to be ready. */
  constructor(awaited: number) {
    this.#awaited = awaited
    this.opened = new Promise((resolve) => (this.#open = resolve))
  }

  /** One more is ready, or failed before. */
  arrive(): Promise<void> {
    this.#awaited--
    if (this.#awaited <= 0) this.#open()
    return this.opened
  }
}

export interface Reply {
  /** 0: no answer came, and `error` says why. */
  readonly status: number
  /** By lower-case name, a value a line. */
  readonly headers: ReadonlyMap<string, readonly string[]>
  readonly body: Uint8Array
  readonly error?: string
  /** The body as a text for people, where that is not all of it. */
  readonly shown?: string
}

export function header(reply: Reply, name: string): string | undefined {
  return reply.headers.get(name)?.join(', ')
}

export function textOf(reply: Reply): string {
  return new TextDecoder().decode(reply.body)
}

export const isSuccess = ({ status }: Reply): boolean => status >= 200 && status < 300

/** The run that made a reply of the fixture's default kind. */
export function runOf(reply: Reply): number | undefined {
  const number = /^run=(\d+)$/.exec(textOf(reply))?.[1]
  return number === undefined ? undefined : Number(number)
}

const SHOWN_CHARACTERS = 60

/** A reply in a few words, for people. */
export function describe(reply: Reply): string {
  if (reply.status === 0) return `no answer (${reply.error})`
  const type = header(reply, 'content-type')
  const parts = [String(reply.status), ...(type === undefined ? [] : [type.split(';')[0] ?? ''])]
  return `${parts.join(' ')} ${describeBody(reply)}`
}

function describeBody(reply: Reply): string {
  const { length } = reply.body
  if (length === 0) return 'without a body'
  const { shown: text = textOf(reply) } = reply
  if (length > SHOWN_CHARACTERS * 4 || !/^[\P{C}\s]*$/u.test(text)) return `with ${length} bytes`
  return JSON.stringify(text.length > SHOWN_CHARACTERS ? `${text.slice(0, SHOWN_CHARACTERS)}...` : text)
}
