import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { conformanceFixture, faultServer, type FaultServer } from '../../src/testing/index.ts'
import { startBackend } from './backend.ts'
import { runCase, type CaseResult } from './cases/case.ts'
import { cases } from './cases/index.ts'
import { isGood, renderTable, type Report } from './report.ts'
import { binaryOf } from './runtimes/registry.ts'
import { conformAll } from './servers/conform.ts'
import { webHandler } from './servers/frameworks.ts'
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

test('a server that conforms is told from one that does not', { timeout: 60_000 }, async () => {
  const handler = webHandler(conformanceFixture())
  const good = await faultServer({ handler })
  const keyless = await faultServer({
    handler(request) {
      request.headers.delete('idempotency-key')
      return handler(request)
    },
  })
  const results = await conformAll({ good: good.url, keyless: keyless.url }, () => {})
  await Promise.all([good.close(), keyless.close()])
  const { of = 0 } = results[0] ?? {}
  expect(results[0]).toEqual({ framework: 'good', passed: of, of, troubles: [] })
  expect(of).toBeGreaterThan(20)
  expect(results[1]?.troubles).toContainEqual(expect.stringMatching(/^D5: /))
})

describe('what came of a run', () => {
  const passed: CaseResult = { name: 'one', result: 'passed' }
  const whole: Report = {
    runtime: 'bun',
    title: 'Bun',
    version: '1.4.5',
    results: [passed],
    servers: [],
    seconds: 2,
    problem: undefined,
  }
  const missing: Report = { ...whole, version: undefined, results: [], problem: 'Bun is missing: get it' }
  const failed: Report = { ...whole, results: [passed, { name: 'two', result: 'failed', error: 'wrong' }] }
  const unsafe: Report = {
    ...whole,
    servers: [
      { framework: 'Koa', passed: 2, of: 2, troubles: [] },
      { framework: 'Hono', passed: 1, of: 2, troubles: ['D5: wrong'] },
    ],
  }
  const crashed: Report = { ...whole, problem: 'it ended with 1' }

  test.each([
    ['every case passed', whole, true, true],
    ['a case failed', failed, false, false],
    ['it did not come to its end', crashed, false, false],
    ['a framework fails', unsafe, false, false],
    ['no case was run', { ...whole, results: [] }, false, false],
    ['a needed runtime is missing', missing, true, false],
    ['another runtime is missing', missing, false, true],
  ])('where %s', (_, report, needed, good) => {
    expect(isGood(report, needed)).toBe(good)
  })

  test('is a table, and below it what went wrong', () => {
    const table = renderTable([whole, missing, failed, crashed, unsafe])
    expect(table).toMatch(/Runtime │ Koa +│ Hono +│/)
    expect(table).toMatch(/Bun +│ 2 of 2 │ 1 of 2 │/)
    expect(table).toContain('✘ Bun: Hono: D5: wrong\n')
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
