import { expect, test } from 'vitest'
import { conformanceReport, type ConformanceReport } from '../../src/testing/index.ts'
import { concurrency } from '../../src/testing/conformance/rows/concurrency.ts'
import { identity } from '../../src/testing/conformance/rows/identity.ts'
import { replaying } from '../../src/testing/conformance/rows/replaying.ts'
import { surroundings } from '../../src/testing/conformance/rows/surroundings.ts'
import { syntax } from '../../src/testing/conformance/rows/syntax.ts'
import { serveFlawed, type Flaw } from './flawed.ts'

/** A flaw is looked at by all rows of its own kind: those that are to fail and those that are not to mind. */
const families = [concurrency, identity, replaying, surroundings, syntax].map((rows) =>
  rows.map(({ id }) => id),
)

/** Their many or large requests keep the machine busy: they run where they are to fail, and where nothing is. */
const heavy = new Set(['P1', 'P4', 'P20'])

function askedFor(ids: readonly string[]): readonly string[] {
  const relatives = families.filter((family) => family.some((id) => ids.includes(id))).flat()
  return [...relatives.filter((id) => !heavy.has(id)), ...ids]
}

async function reportOf(flaw: Flaw, only: readonly string[]): Promise<ConformanceReport> {
  await using api = await serveFlawed(flaw)
  return await conformanceReport({
    url: api.url,
    only,
    principals: [{ 'x-client': 'a:' }, { 'x-client': 'a' }],
    required: true,
    strict: true,
    origin: 'https://app.test',
    delayMs: 80,
  })
}

/** Which rows fail for a flaw; all others pass, or are skipped since they need one of these. */
const failing: Readonly<Record<Exclude<Flaw, 'none'>, readonly string[]>> = {
  'forgets everything': ['D2', 'D3', 'D5', 'D9', 'D11', 'D12', 'D16', 'P1', 'P20'],
  'refuses quoted keys': ['D1', 'D2'],
  'takes tokens': ['D2'],
  'takes anything for a key': ['D2', 'D3', 'D4'],
  'compares parameters': ['D4'],
  'ignores the body': ['D5'],
  'marks the first answer': ['D8'],
  'replays with another status': ['D9'],
  'runs errors again': ['D10'],
  'answers 409 in plain text': ['D11'],
  'refuses a missing key without a link': ['D12'],
  'refuses another body with 400': ['D13'],
  'forgets a key that was misused': ['D14'],
  'loses a key by its 409': ['D15'],
  'takes keys of any length': ['D16'],
  'one scope for all clients': ['D17'],
  'looks, then claims': ['P1'],
  '409 before 422': ['P2'],
  'saves only what the client saw': ['P3'],
  'decodes binary bodies as text': ['P4'],
  'runs 204 again': ['P4'],
  'records the last piece only': ['P5'],
  'replays cookies': ['P6'],
  'ignores the query': ['P14'],
  'compares bytes': ['P15'],
  'no Retry-After': ['P16'],
  'never waits': ['P16-wait'],
  'protects GET': ['P17'],
  'does not say ignored': ['P17-ignored'],
  'exposes nothing': ['P18'],
  'joins client and key': ['P19'],
  'takes bodies of any size': ['P20'],
}

/** Rows that see a flaw only if their second request comes while the first one runs, which a busy machine decides. */
const seenInTime: Partial<Record<Flaw, string>> = { 'loses a key by its 409': 'P3' }

/** They mostly wait, but on a machine that is busy with other tests all that they ask takes its time. */
const timeout = 60_000

test.concurrent.each(families.map((ids) => ({ ids })))(
  'a server without a flaw passes $ids',
  { timeout },
  async ({ ids }) => {
    const { rows } = await reportOf('none', ids)
    expect(rows.length).toBe(ids.length)
    expect(rows.filter(({ result }) => result !== 'pass')).toEqual([])
  },
)

// Each on a server of its own, and five at a time, so that what is to overlap does.
test.concurrent.each(Object.entries(failing) as [Flaw, readonly string[]][])(
  'a server that %s fails exactly its rows',
  { timeout },
  async (flaw, ids) => {
    const { rows } = await reportOf(flaw, askedFor(ids))
    const failed = rows.filter(({ result }) => result === 'fail')
    expect(failed.map(({ id }) => id).filter((id) => id !== seenInTime[flaw])).toEqual(ids)
    for (const { detail } of failed) expect(detail).toMatch(/^sent .+; expected .+; got ./s)
    for (const { result, blockedBy } of rows) {
      expect(result).not.toBe('inconclusive')
      if (blockedBy !== undefined) expect(ids).toContain(blockedBy)
    }
  },
)

test('every row is seen failing', () => {
  const seen = new Set(Object.values(failing).flat())
  expect(families.flat().filter((id) => !seen.has(id))).toEqual([])
})
