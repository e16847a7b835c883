import { delay } from '../../primitives/delay.ts'
import { systemClock } from '../../primitives/clock.ts'
import { Scope } from '../../primitives/signal.ts'

/** What a request asks the fixture's handler for, as its JSON body. Other members are ignored. */
export interface FixtureRequest {
  /** How long the handler takes, in ms. Default 0. */
  readonly delayMs?: number
  /** The status of the answer. Default 201. */
  readonly status?: number
  /** What the answer is like. Default `'run'`: the text `run=<n>`. */
  readonly kind?: 'run' | 'empty' | 'zero' | 'false' | 'binary' | 'large' | 'pieces' | 'headers'
}

/** An answer of the fixture's handler, to be written part by part. */
export interface FixtureAnswer {
  readonly status: number
  readonly headers: Readonly<Record<string, string>>
  readonly parts: readonly Uint8Array[]
}

export interface ConformanceFixture {
  /** How often the handler has run: what `GET /__count` answers. */
  readonly count: number
  /** The handler behind `/effects`: counts a run, takes its time, and tells what to answer. */
  answer(body: string): Promise<FixtureAnswer>
}

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text)
const TEXT = { 'content-type': 'text/plain' }
const JSON_TYPE = { 'content-type': 'application/json' }
const BYTES = { 'content-type': 'application/octet-stream' }
const LARGE_BYTES = 1_048_576

/** Status codes whose answers have no body. */
const BODILESS: ReadonlySet<number> = new Set([204, 205, 304])

/** What has to be served behind idempotency for `conformance()` to have something to look at, for any framework. */
export function conformanceFixture(): ConformanceFixture {
  let count = 0
  return {
    get count() {
      return count
    },
    async answer(body) {
      count++
      const run = count
      const { delayMs = 0, status = 201, kind = 'run' } = requestOf(body)
      if (delayMs > 0) await delay(systemClock, delayMs, new Scope())
      if (BODILESS.has(status)) return { status, headers: {}, parts: [] }
      return { status, ...CONTENTS[kind](run) }
    },
  }
}

function requestOf(body: string): FixtureRequest {
  try {
    const document: unknown = JSON.parse(body)
    return typeof document === 'object' && document !== null ? document : {}
  } catch {
    return {}
  }
}

type Content = Omit<FixtureAnswer, 'status'>

const ofRun = (run: number): Content => ({ headers: TEXT, parts: [bytes(`run=${run}`)] })

const CONTENTS: Readonly<Record<NonNullable<FixtureRequest['kind']>, (run: number) => Content>> = {
  run: ofRun,
  empty: () => ({ headers: {}, parts: [] }),
  zero: () => ({ headers: JSON_TYPE, parts: [bytes('0')] }),
  false: () => ({ headers: JSON_TYPE, parts: [bytes('false')] }),
  binary: () => ({ headers: BYTES, parts: [Uint8Array.from({ length: 256 }, (_, byte) => byte)] }),
  large: () => ({
    headers: BYTES,
    parts: [new Uint8Array(LARGE_BYTES).map((_, index) => (index * 7) % 256)],
  }),
  pieces: (run) => ({ headers: TEXT, parts: [bytes('one '), bytes('two '), ...ofRun(run).parts] }),
  headers: (run) => ({ ...ofRun(run), headers: { ...TEXT, ...exchangeHeaders(run) } }),
}

/** What belongs to one exchange and not to the operation. */
function exchangeHeaders(run: number): Record<string, string> {
  return {
    'set-cookie': `session=${run}`,
    date: 'Mon, 01 Jan 2001 00:00:00 GMT',
    connection: 'close, x-hop',
    'x-hop': String(run),
  }
}
