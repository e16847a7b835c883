/** A row of the table that can't be told from outside. */
export interface UnseenRow {
  readonly id: string
  readonly title: string
  /** Why not, and where it is tested. */
  readonly why: string
}

const STORE = 'the store decides: storeSuite() tests it'
const CRASH = 'needs the server process in hand: test/conformance in the repository'
const CLIENT = 'for clients'

export const notBlackBox: readonly UnseenRow[] = [
  { id: 'D6', title: 'keys expire, and the policy is published', why: `takes a day; ${STORE}` },
  { id: 'D7', title: 'fingerprint of a selected payload', why: 'which part counts is for the API to say' },
  { id: 'D18', title: 'a unique key for each call', why: CLIENT },
  { id: 'D19', title: 'other 4xx are not retried', why: CLIENT },
  { id: 'P7', title: 'a crash in the handler follows the policy', why: CRASH },
  { id: 'P8', title: 'a stale owner can not complete, release or extend', why: STORE },
  { id: 'P9', title: 'an acquire whose answer was lost can be retried', why: STORE },
  { id: 'P10', title: 'a store that is down: 503 within a bound', why: CRASH },
  { id: 'P11', title: 'a failed save never runs the handler again by itself', why: CRASH },
  { id: 'P12', title: 'effect and record in one transaction', why: CRASH },
  { id: 'P13', title: 'an expired key is taken by exactly one', why: STORE },
  { id: 'P21', title: 'stored bytes are encrypted on request', why: 'what is stored is not seen' },
]
