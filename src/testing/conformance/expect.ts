import type { Api, Ask } from './api.ts'
import { describe, header, type Reply } from './exchange.ts'
import { Failed } from './failure.ts'

/** An ask in a few words, for people. */
export function describeAsk({ method = 'POST', target = '', key, body, headers = {}, as }: Ask): string {
  const lines = key === undefined ? [] : [key].flat()
  const fields = [
    // By number: what makes it that client may be a secret.
    ...(as === undefined ? [] : [`client ${as + 1}`]),
    ...lines.map((line) => `Idempotency-Key: ${printable(line)}`),
    ...Object.entries(headers).map(([name, value]) => `${name}: ${printable(value)}`),
  ]
  const text = typeof body === 'object' ? JSON.stringify(body) : body
  const content =
    text === undefined ? [] : [text.length > 80 ? `a body of ${text.length} bytes` : printable(text)]
  return [`${method} /effects${target}`, ...fields, ...content].join(', ')
}

function printable(value: string): string {
  const shown = value.length > 90 ? `${value.slice(0, 20)}... (${value.length} characters)` : value
  return shown.replaceAll(
    /[^\x20-\x7e]/g,
    (character) => `\\x${character.charCodeAt(0).toString(16).padStart(2, '0')}`,
  )
}

export interface Expectation {
  readonly sent: Ask | string
  readonly expected: string
  readonly got: Reply | string
  /** How often the handler ran, where that tells something. */
  readonly runs?: number
}

export function expect(condition: boolean, expectation: Expectation): void {
  if (condition) return
  const { sent, expected, got, runs } = expectation
  const what = typeof sent === 'string' ? sent : describeAsk(sent)
  const reply = typeof got === 'string' ? got : describe(got)
  throw new Failed(`sent ${what}; expected ${expected}; got ${reply}${describeRuns(runs)}`)
}

function describeRuns(runs: number | undefined): string {
  if (runs === undefined) return ''
  if (runs === 0) return ', and nothing ran'
  return runs === 1 ? ', and the handler ran' : `, and the handler ran ${runs} times`
}

/** Sends it and expects `isRight` of the reply, and that the handler did not run. */
export async function expectRefused(
  api: Api,
  ask: Ask,
  isRight: (reply: Reply) => boolean,
  expected: string,
): Promise<Reply> {
  const { value: got, runs } = await api.counting(() => api.send(ask))
  expect(isRight(got) && runs === 0, { sent: ask, expected: `${expected}, and no run`, got, runs })
  return got
}

/** Sends it and expects a reply that is as good as `first`, without a run. */
export async function expectReplay(api: Api, first: Reply, ask: Ask): Promise<Reply> {
  const { value: got, runs } = await api.counting(() => api.send(ask))
  const sent = `${describeAsk(ask)}, as before`
  expect(runs === 0 && isSame(first, got), {
    sent,
    expected: `the first answer, ${describe(first)}`,
    got,
    runs,
  })
  return got
}

/** Whether a reply has status, media type and bytes of another. */
export function isSame(one: Reply, other: Reply): boolean {
  return (
    one.status === other.status &&
    header(one, 'content-type') === header(other, 'content-type') &&
    one.body.length === other.body.length &&
    one.body.every((byte, index) => byte === other.body[index])
  )
}

/** Every probe is made, and all that fail are named. */
export async function expectEach<Probe>(
  probes: readonly Probe[],
  nameOf: (probe: Probe) => string,
  check: (probe: Probe) => Promise<void>,
): Promise<void> {
  const failures: string[] = []
  for (const probe of probes) {
    try {
      await check(probe)
    } catch (error) {
      if (!(error instanceof Failed)) throw error
      failures.push(failures.length === 0 ? error.message : nameOf(probe))
    }
  }
  const [first, ...others] = failures
  if (first === undefined) return
  throw new Failed(others.length === 0 ? first : `${first}; the same for ${others.join(', ')}`)
}
