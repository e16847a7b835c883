import { expect, test } from 'vitest'
import { encodeRecord } from '../../../src/idempotency/record.ts'
import type { KeptRecord } from '../shops/shop.ts'
import { digestOf, type Ending, type Observation } from '../world/observation.ts'
import { violationsIn, type Evidence } from './checker.ts'

const bodyOf = (mark: string): Uint8Array => new TextEncoder().encode(JSON.stringify({ operation: 1, mark }))

const digest = (mark: string): string => digestOf(201, 'application/json', bodyOf(mark))

const record = (mark: string): KeptRecord => ({
  key: 'k1',
  state: 'done',
  response: encodeRecord({
    status: 201,
    statusText: 'Created',
    headers: [['content-type', 'application/json']],
    body: bodyOf(mark),
  }),
})

const confirmed = (mark: string): Ending => ({ type: 'confirmed', replayed: false, digest: digest(mark) })

const told = (...endings: Ending[]): Observation => ({ operation: 1, key: 'k1', endings })

const kinds = (evidence: Partial<Evidence>): string[] =>
  violationsIn({
    transactional: true,
    observations: [told(confirmed('a'))],
    orders: [{ operation: 1, mark: 'a' }],
    records: [record('a')],
    ...evidence,
  }).map(({ kind }) => kind)

test('an operation that was done once, recorded, and told as recorded is right', () => {
  expect(kinds({})).toEqual([])
  expect(kinds({ observations: [told(confirmed('a'), confirmed('a'))] })).toEqual([])
  expect(kinds({ transactional: false })).toEqual([])
})

test('two orders for one operation are doubled, in each mode', () => {
  const orders = ['a', 'b'].map((mark) => ({ operation: 1, mark }))
  expect(kinds({ orders })).toEqual(['doubled'])
  expect(kinds({ orders, transactional: false })).toEqual(['doubled'])
})

test('no order for an operation that was confirmed is lost, in each mode', () => {
  expect(kinds({ orders: [] })).toContain('lost')
  expect(kinds({ orders: [], transactional: false })).toContain('lost')
})

test('an unknown outcome may be either where keys block, and nowhere else', () => {
  const observations = [told({ type: 'unknown' })]
  const active = [{ key: 'k1', state: 'active', response: undefined } as const]
  expect(kinds({ transactional: false, observations, records: active, orders: [] })).toEqual([])
  expect(kinds({ transactional: false, observations, records: active })).toEqual([])
  expect(kinds({ observations, records: active, orders: [] })).toEqual(['lost', 'unsettled'])
})

test('a response that is not the recorded one', () => {
  expect(kinds({ observations: [told(confirmed('a'), confirmed('b'))] })).toEqual(['other response'])
  expect(kinds({ records: [] })).toEqual(['other response'])
})

test('a record of a run that left no order', () => {
  const observations = [told(confirmed('b'))]
  expect(kinds({ observations, records: [record('b')] })).toEqual(['other run'])
})

test('an order that nobody placed', () => {
  const orders = [
    { operation: 1, mark: 'a' },
    { operation: 2, mark: 'b' },
  ]
  expect(kinds({ orders })).toEqual(['stray'])
})

test('an answer that should never come', () => {
  const wrong: Ending = { type: 'wrong', what: '422' }
  expect(kinds({ observations: [told(confirmed('a'), wrong)] })).toEqual(['wrong answer'])
})
