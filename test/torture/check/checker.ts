import { decodeRecord } from '../../../src/idempotency/record.ts'
import type { KeptRecord } from '../shops/shop.ts'
import type { Order } from '../shops/till.ts'
import { digestOf, type Ending, type Observation } from '../world/observation.ts'

export type ViolationKind =
  /** More orders than one. */
  | 'doubled'
  /** No order where there has to be one. */
  | 'lost'
  /** An order that nobody placed. */
  | 'stray'
  /** A client got another response than was recorded. */
  | 'other response'
  /** The record is of another run of the handler than the order. */
  | 'other run'
  /** A key that is not settled although all is over. */
  | 'unsettled'
  /** An answer that should never come, or none at all. */
  | 'wrong answer'
  /** A server ended by itself. */
  | 'crash'

export interface Violation {
  readonly kind: ViolationKind
  readonly what: string
}

/** What is left when all is over. */
export interface Evidence {
  readonly transactional: boolean
  readonly observations: readonly Observation[]
  readonly orders: readonly Order[]
  readonly records: readonly KeptRecord[]
}

/**
 * Holds the database and what clients were told against what is guaranteed: in a transaction every operation is done
 * exactly once; with leases and `block` none is done twice, and one that was confirmed is done. In both, every response
 * to an operation is the recorded one.
 */
export function violationsIn(evidence: Evidence): Violation[] {
  const marks = marksByOperation(evidence.orders)
  const records = new Map(evidence.records.map((record) => [record.key, record]))
  const placed = new Set(evidence.observations.map(({ operation }) => operation))
  const found = evidence.observations.flatMap((observation) => [
    ...effectOf(observation, marks.get(observation.operation) ?? [], evidence.transactional),
    ...recordOf(observation, records.get(observation.key), marks.get(observation.operation) ?? [], evidence),
    ...wrongAnswers(observation),
  ])
  const strays = [...marks.keys()].filter((operation) => !placed.has(operation))
  return [...found, ...strays.map((operation) => violation('stray', operation, 'nobody placed it'))]
}

function marksByOperation(orders: readonly Order[]): Map<number, string[]> {
  const marks = new Map<number, string[]>()
  for (const { operation, mark } of orders) {
    const known = marks.get(operation)
    if (known === undefined) marks.set(operation, [mark])
    else known.push(mark)
  }
  return marks
}

function effectOf(
  { operation, endings }: Observation,
  marks: readonly string[],
  transactional: boolean,
): Violation[] {
  if (marks.length > 1) return [violation('doubled', operation, `${marks.length} orders`)]
  const hasToBe = transactional || endings.some(({ type }) => type === 'confirmed')
  return marks.length === 0 && hasToBe ? [violation('lost', operation, 'no order')] : []
}

function recordOf(
  { operation, endings }: Observation,
  record: KeptRecord | undefined,
  marks: readonly string[],
  { transactional }: Evidence,
): Violation[] {
  const told = endings.filter(isResponse)
  if (record?.state !== 'done' || record.response === undefined) {
    const state = record?.state ?? 'gone'
    if (told.length > 0) return [violation('other response', operation, `told, but the key is ${state}`)]
    return transactional ? [violation('unsettled', operation, `the key is ${state}`)] : []
  }
  const { status, headers, body = new Uint8Array() } = decodeRecord(record.response)
  const contentType = headers.find(([name]) => name.toLowerCase() === 'content-type')?.[1] ?? null
  const recorded = digestOf(status, contentType, body)
  const others = told.filter(({ digest }) => digest !== recorded)
  const found = others.map(({ type }) => violation('other response', operation, `${type}, not as recorded`))
  const mark = status === 201 ? markIn(body) : undefined
  if (mark !== undefined && !marks.includes(mark)) {
    found.push(violation('other run', operation, 'the recorded response is of a run without an order'))
  }
  return found
}

const isResponse = (ending: Ending): ending is Ending & { type: 'confirmed' | 'failed' } =>
  ending.type === 'confirmed' || ending.type === 'failed'

function markIn(body: Uint8Array): string {
  return (JSON.parse(new TextDecoder().decode(body)) as Order).mark
}

function wrongAnswers({ operation, endings }: Observation): Violation[] {
  return endings.flatMap((ending) =>
    ending.type === 'wrong' ? [violation('wrong answer', operation, ending.what)] : [],
  )
}

const violation = (kind: ViolationKind, operation: number, what: string): Violation => ({
  kind,
  what: `operation ${operation}: ${what}`,
})
