import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { FaultServer } from '../../src/testing/index.ts'
import { startBackend } from './backend.ts'
import { runCase, type CaseResult } from './cases/case.ts'
import { cases } from './cases/index.ts'
import { isGood, renderTable, type Report } from './report.ts'
import { binaryOf } from './runtimes/registry.ts'
import { worldAt } from './world.ts'

let home: FaultServer
let foreign: FaultServer
beforeAll(async () => {
  home = await startBackend()
  foreign = await startBackend()
})
afterAll(async () => {
  await home.close()
  await foreign.close()
})

describe('the suite for every runtime', () => {
  test.concurrent.each(cases)('$name, on the sources', async (each) => {
    const world = worldAt({ home: home.url, foreign: foreign.url }, 'process')
    expect(await runCase(each, world)).toEqual({ name: each.name, result: 'passed' })
  })

  test('a case that can not be run somewhere says why, one that fails says what was wrong', async () => {
    const world = worldAt({ home: home.url, foreign: foreign.url }, 'page')
    const fails = () => Promise.reject(new Error('wrong'))
    const [skipped, failed] = [
      await runCase({ name: 'a', notIn: { page: 'no page' }, run: fails }, world),
      await runCase({ name: 'b', run: fails }, world),
    ]
    expect(skipped).toEqual({ name: 'a', result: 'skipped', error: 'no page' })
    expect(failed).toEqual({ name: 'b', result: 'failed', error: 'Error: wrong' })
  })
})

describe('what came of a run', () => {
  const passed: CaseResult = { name: 'one', result: 'passed' }
  const whole: Report = {
    runtime: 'bun',
    title: 'Bun',
    version: '1.4.5',
    results: [passed],
    seconds: 2,
    problem: undefined,
  }
  const missing: Report = { ...whole, version: undefined, results: [], problem: 'Bun is missing: get it' }
  const failed: Report = { ...whole, results: [passed, { name: 'two', result: 'failed', error: 'wrong' }] }
  const crashed: Report = { ...whole, problem: 'it ended with 1' }

  test.each([
    ['every case passed', whole, true, true],
    ['a case failed', failed, false, false],
    ['it did not come to its end', crashed, false, false],
    ['no case was run', { ...whole, results: [] }, false, false],
    ['a needed runtime is missing', missing, true, false],
    ['another runtime is missing', missing, false, true],
  ])('where %s', (_, report, needed, good) => {
    expect(isGood(report, needed)).toBe(good)
  })

  test('is a table, and below it what went wrong', () => {
    const table = renderTable([whole, missing, failed, crashed])
    expect(table).toMatch(/Bun +│ 1\.4\.5 +│ 1 +│ 0 +│ 0 +│ 2\.0 s/)
    expect(table).toContain('✘ Bun is missing: get it\n')
    expect(table).toContain('✘ Bun: two: wrong\n')
    expect(table).toContain('✘ Bun: it ended with 1\n')
  })

  test('a runtime without a package for this machine is told in one line', async () => {
    const obtained = binaryOf({ title: 'Bun', spec: undefined, binary: 'bin/bun' })
    await expect(obtained).rejects.toThrow(`Bun has no package for ${process.platform} on ${process.arch}`)
  })
})
