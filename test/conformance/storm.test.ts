/** What must hold of every request, whatever the store, the handlers and the processes do: by chance, on a virtual clock. */
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { lawful, STORMS, type Laws } from '../support/laws.ts'
import { expectNoUnhandledRejections } from '../client/support/unhandled.ts'
import {
  weathered,
  type Aftermath,
  type Answered,
  type Asked,
  type Deed,
  type Run,
  type Storm,
  type StoreWeather,
  type Work,
} from './storm.ts'

expectNoUnhandledRejections()

const asked: fc.Arbitrary<Asked> = fc.record({
  startMs: fc.integer({ min: 0, max: 8000 }),
  process: fc.nat(2),
  key: fc.constantFrom('key-1', 'key-2'),
  body: fc.oneof({ weight: 4, arbitrary: fc.constant('a secret') }, fc.constant('another secret')),
  preferWaitS: fc.option(fc.integer({ min: 0, max: 5 }), { nil: undefined, freq: 1 }),
  leavesAfterMs: fc.option(fc.integer({ min: 0, max: 2000 }), { nil: undefined, freq: 1 }),
})

const calm: StoreWeather = { outMs: 0, backMs: 0, fault: 'none' }

const store: fc.Arbitrary<StoreWeather> = fc.oneof(
  { weight: 3, arbitrary: fc.constant(calm) },
  {
    weight: 2,
    arbitrary: fc.record({
      outMs: fc.constantFrom(0, 1, 30, 400, 1500),
      backMs: fc.constantFrom(0, 1, 30, 400, 1500),
      fault: fc.constantFrom('none', 'before', 'after', 'hang'),
    }),
  },
)

const work: fc.Arbitrary<Work> = fc.record({
  takesMs: fc.oneof(fc.integer({ min: 0, max: 400 }), fc.integer({ min: 400, max: 6000 })),
  gives: fc.constantFrom<Work['gives'][]>(200, 201, 404, 409, 422, 500, 503, 'throws'),
  began: fc.boolean(),
  inTransaction: fc.boolean(),
})

const storm: fc.Arbitrary<Storm> = fc.record({
  options: fc.record({
    abandoned: fc.constantFrom('block', 'takeover'),
    inFlight: fc.constantFrom('reject', 'wait'),
    leaseMs: fc.constantFrom(1000, 3000),
    ttlMs: fc.constantFrom(20_000, 86_400_000),
    storeTimeoutMs: fc.constantFrom(500, 2000),
    transactionTimeoutMs: fc.constantFrom(1000, 60_000),
    maxWaitersPerKey: fc.constantFrom(1, 100),
  }),
  asked: fc.array(asked, { minLength: 1, maxLength: 12 }),
  store: fc.oneof(fc.constant([]), fc.array(store, { maxLength: 40 })),
  work: fc.array(work, { minLength: 1, maxLength: 6 }),
  diesMs: fc.array(fc.option(fc.integer({ min: 0, max: 9000 }), { nil: undefined, freq: 1 }), {
    minLength: 3,
    maxLength: 3,
  }),
  near: fc.array(fc.boolean(), { minLength: 3, maxLength: 3 }),
})

const RELEASED = new Set<unknown>([400, 401, 403, 404, 405, 413, 415, 422, 425, 429, 503, 'throws'])

/** Whether the key may be given back by this ending, so that the operation may be tried again. */
function isGivenBack(
  { effects }: Aftermath,
  { endMs, number, work: { gives, began, inTransaction } }: Run,
): boolean {
  if (began) return false
  if (inTransaction) return !effects.includes(number)
  return endMs !== undefined && RELEASED.has(gives)
}

const deedOf = ({ deeds }: Aftermath, { key, fence }: Run, what: Deed['what'], beforeMs = Infinity) =>
  deeds.findLast(
    (deed) => deed.key === key && deed.fence === fence && deed.what === what && deed.atMs <= beforeMs,
  )

/** Whether it belongs to another window: the key had been forgotten. */
const isLater = (aftermath: Aftermath, first: Run, next: Run, { options: { ttlMs } }: Storm): boolean => {
  const taken = deedOf(aftermath, first, 'acquired', first.startMs)
  return taken !== undefined && next.startMs >= taken.atMs + ttlMs
}

/** Two runs of one key, the second after the first. */
function* pairs({ runs }: Aftermath): Generator<[first: Run, next: Run]> {
  for (const [index, first] of runs.entries())
    for (const next of runs.slice(index + 1)) if (next.key === first.key) yield [first, next]
}

/** The run whose response a text is. */
const runOf = ({ runs }: Aftermath, { text }: Answered): Run | undefined =>
  runs.find(({ number }) => text === `run ${number}`)

const isCalm = ({ wasFaulty, endMs }: Aftermath, { diesMs, options, work: jobs }: Storm): boolean =>
  !wasFaulty &&
  diesMs.every((diesAtMs = Infinity) => diesAtMs > endMs) &&
  jobs.every(({ takesMs, inTransaction }) => !inTransaction || takesMs < options.transactionTimeoutMs)

const SETTLING = new Set(['completed', 'released', 'unsaved', 'stale'])

/** What holds in any storm. */
const laws: Laws<Aftermath, Storm> = {
  'what has been done, or may have been, is not done again'(aftermath, one) {
    if (one.options.abandoned !== 'block') return
    for (const [first, next] of pairs(aftermath)) {
      if (isLater(aftermath, first, next, one)) continue
      const taken = deedOf(aftermath, next, 'acquired', next.startMs)
      expect(deedOf(aftermath, first, 'released', taken?.atMs)).toBeDefined()
    }
  },

  'a key is given back only by what may be tried again'(aftermath) {
    for (const run of aftermath.runs) {
      const given = deedOf(aftermath, run, 'released')
      if (given === undefined || given.atMs < run.startMs) continue
      expect(isGivenBack(aftermath, run)).toBe(true)
      if (!run.work.inTransaction) expect(run.endMs ?? Infinity).toBeLessThanOrEqual(given.atMs)
    }
  },

  'what is done in transactions is done once, whatever the policy'(aftermath, one) {
    for (const [first, next] of pairs(aftermath)) {
      if (isLater(aftermath, first, next, one)) continue
      expect([first, next].every(({ number }) => aftermath.effects.includes(number))).toBe(false)
    }
  },

  'an answer tells what has become of its transaction'({ answered, runs, effects }) {
    for (const { place, text, code, replayed, mark } of answered) {
      const run = runs.find(({ asked: of }) => of === place)
      if (run?.work.inTransaction !== true || replayed || code === 'outcome-unknown' || mark === 'unsaved')
        continue
      expect(effects.includes(run.number)).toBe(text === `run ${run.number}`)
    }
  },

  'a key is taken over from an owner that has been silent for a lease, and only then'(aftermath, one) {
    if (one.options.abandoned !== 'takeover') return
    for (const [first, next] of pairs(aftermath)) {
      if (isLater(aftermath, first, next, one)) continue
      const taken = deedOf(aftermath, next, 'acquired', next.startMs)
      if (taken === undefined) throw new Error('a run without a key')
      if (deedOf(aftermath, first, 'released', taken.atMs) !== undefined) continue
      const renewed =
        deedOf(aftermath, first, 'extended', taken.atMs) ?? deedOf(aftermath, first, 'acquired', taken.atMs)
      expect(taken.atMs - (renewed?.atMs ?? NaN)).toBeGreaterThanOrEqual(one.options.leaseMs)
    }
  },

  'what is on record is not run again'(aftermath, one) {
    for (const [first, next] of pairs(aftermath)) {
      if (isLater(aftermath, first, next, one)) continue
      const taken = deedOf(aftermath, next, 'acquired', next.startMs)
      expect(deedOf(aftermath, first, 'completed', taken?.atMs)).toBeUndefined()
    }
  },

  'an answer is that of its own run, or of one that asked for the same and is on record'(aftermath, one) {
    for (const answer of aftermath.answered) {
      const question = one.asked[answer.place]
      const run = runOf(aftermath, answer)
      if (run === undefined) continue
      expect([run.key, run.body, run.work.gives]).toEqual([question?.key, question?.body, answer.status])
      if (!answer.replayed) expect(run.asked).toBe(answer.place)
      else expect(deedOf(aftermath, run, 'completed', answer.atMs)).toBeDefined()
    }
  },

  'whoever is told that nothing was begun is told the truth'(aftermath) {
    for (const { code, place } of aftermath.answered) {
      if (code !== 'store-unavailable' && code !== 'key-reused' && code !== 'request-in-flight') continue
      // What was rolled back was not begun, either.
      const runs = aftermath.runs.filter((run) => run.asked === place)
      expect(runs.filter((run) => !(run.work.inTransaction && isGivenBack(aftermath, run)))).toEqual([])
    }
  },

  async 'what a client was told is kept'(aftermath, { asked: all, options: { ttlMs } }) {
    for (const answer of aftermath.answered) {
      const run = runOf(aftermath, answer)
      const question = all[answer.place]
      if (
        run === undefined ||
        question === undefined ||
        isGivenBack(aftermath, run) ||
        answer.mark === 'unsaved'
      )
        continue
      const taken = deedOf(aftermath, run, 'acquired', run.startMs)
      if (aftermath.endMs >= (taken?.atMs ?? 0) + ttlMs) continue
      const { status, text, replayed } = await aftermath.ask(question.key, question.body)
      expect({ status, text, replayed }).toEqual({ status: answer.status, text: answer.text, replayed: true })
    }
  },

  'every request is answered in time'(aftermath, { asked: all, diesMs, options, work: jobs }) {
    const longestMs = Math.max(...jobs.map(({ takesMs }) => takesMs))
    // To ask, to wait, to ask again, to renew, to begin, to run, to save or undo, to look what is recorded.
    const mostMs = longestMs + options.leaseMs + 8 * options.storeTimeoutMs
    for (const [place, { startMs, process }] of all.entries()) {
      const answer = aftermath.answered.find((each) => each.place === place)
      if (answer !== undefined) expect(answer.atMs - startMs).toBeLessThanOrEqual(mostMs)
      else expect(diesMs[process]).toBeLessThanOrEqual(startMs + mostMs)
    }
  },

  'each key that was taken is told to be settled, once'({ events }, { diesMs }) {
    for (const { process, event } of events) {
      if (event.type !== 'acquired' || diesMs[process] !== undefined) continue
      const settled = events.filter(
        (other) =>
          other.process === process &&
          SETTLING.has(other.event.type) &&
          'fence' in other.event &&
          other.event.key === event.key &&
          other.event.fence === event.fence,
      )
      expect(settled.map((other) => other.event.type)).toHaveLength(1)
    }
  },

  'while all is well nothing is uncertain'(aftermath, one) {
    if (!isCalm(aftermath, one)) return
    for (const { code, mark } of aftermath.answered) {
      expect(['store-unavailable', 'outcome-unknown']).not.toContain(code)
      expect(mark).not.toBe('unsaved')
    }
    for (const { event } of aftermath.events)
      expect(['store-error', 'unsaved', 'stale', 'lease-lost']).not.toContain(event.type)
  },

  'no event tells what was sent'({ events }) {
    expect(JSON.stringify(events)).not.toContain('secret')
  },
}

test('in any storm each law of the server half holds', { timeout: 300 * STORMS }, () =>
  fc.assert(lawful(laws, storm, weathered), { numRuns: STORMS }),
)
