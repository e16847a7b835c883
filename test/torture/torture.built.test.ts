import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { rolldown } from 'rolldown'
import { beforeAll, describe, expect, onTestFinished, test } from 'vitest'
import { root, run } from '../package/run.ts'
import { testServersAreThere } from '../support/left-out.ts'
import { postgresUrl } from '../support/postgres.ts'
import { redisUrl } from '../support/redis-server.ts'
import { urlOf } from '../support/servers.ts'
import { POINTS } from './plan/points.ts'
import { sum, type Report } from './report/report.ts'
import { config, output } from './rolldown.config.ts'
import type { ShopName } from './settings.ts'

interface Ended {
  readonly status: number | string
  readonly report: Report
}

const MAIN = `${root}/.cache/torture/main.js`
/** In case it is done all the same. */
const tiny = ['--store', 'sqlite', '--operations', '5', '--kills', '1']
const small = ['--servers', '2', '--clients', '16']

async function torture(shop: ShopName, ...args: readonly string[]): Promise<Ended> {
  const command = [MAIN, '--json', '--store', shop]
  const {
    status,
    stdout,
    output: said,
  } = await run(process.execPath, [...command, ...small, ...args], {
    timeoutMs: 110_000,
  })
  if (!stdout.startsWith('[')) throw new Error(`the torture ended with ${status}\n${said}`)
  const [report] = JSON.parse(stdout) as Report[]
  if (report === undefined) throw new Error('there is no report')
  return { status, report }
}

/** With what was found, so that a failure shows it. */
const verdict = ({ status, report }: Ended): unknown => [status, report.violations.first]

const redis = await urlOf(redisUrl)
const postgres = await urlOf(postgresUrl)

testServersAreThere()

const runs: Partial<Record<'postgres' | 'sqlite' | 'redis' | 'broken', Promise<Ended>>> = {}

async function ended(name: keyof typeof runs): Promise<Ended> {
  const end = await runs[name]
  if (end === undefined) throw new Error(`${name} was left out`)
  return end
}

beforeAll(async () => {
  const bundle = await rolldown(config)
  await bundle.write(output)
  await bundle.close()
  // Two at a time: most of their time they wait, but each is three processes, and their times are real.
  if (postgres !== undefined) {
    runs.postgres = torture('postgres', '--operations', '20', '--kills', '2', '--clients', '8')
  }
  // A larger crowd is done with so few before most of the blows fall.
  runs.sqlite = torture('sqlite', '--operations', '40', '--kills', '8', '--clients', '8')
  await Promise.allSettled(Object.values(runs))
  if (redis !== undefined) {
    runs.redis = torture('redis', '--operations', '25', '--kills', '2')
    runs.broken = torture('redis', '--operations', '20', '--kills', '2', '--broken')
  }
  await Promise.allSettled(Object.values(runs))
}, 240_000)

describe('a short torture', () => {
  test.skipIf(postgres === undefined)(
    'of Postgres, transactional: every operation is done exactly once',
    async () => {
      const end = await ended('postgres')
      expect(verdict(end)).toEqual([0, []])
      const { kills, freezes, faults, database } = end.report
      expect(database).toEqual({ orders: 20, keys: 20 })
      expect(sum(kills)).toBe(2)
      expect(sum(freezes)).toBeGreaterThan(0)
      expect(Object.keys(faults).some((name) => name.startsWith('store: '))).toBe(true)
    },
  )

  test('of SQLite, transactional: every operation is done exactly once', async () => {
    const end = await ended('sqlite')
    expect(verdict(end)).toEqual([0, []])
    const { kills, freezes, faults, database } = end.report
    expect(database).toEqual({ orders: 40, keys: 40 })
    expect(sum(kills)).toBe(8)
    expect(POINTS.filter((point) => (kills[point] ?? 0) > 0).length).toBeGreaterThanOrEqual(POINTS.length / 2)
    expect(sum(freezes)).toBeGreaterThan(0)
    expect(sum(faults)).toBeGreaterThan(0)
  })

  test.skipIf(redis === undefined)('of Redis, block: no operation is done twice', async () => {
    const end = await ended('redis')
    expect(verdict(end)).toEqual([0, []])
    const { operations, endings, kills, faults } = end.report
    expect(operations).toBe(25)
    expect(sum(kills)).toBe(2)
    expect(endings['confirmed']).toBeGreaterThan(0)
    expect(endings['confirmed, replayed']).toBeGreaterThan(0)
    expect(Object.keys(faults).some((name) => name.startsWith('store: '))).toBe(true)
  })

  test.skipIf(redis === undefined)('of a store without fencing finds it out', async () => {
    const { status, report } = await ended('broken')
    expect(status).toBe(1)
    expect(report.violations.kinds['doubled']).toBeGreaterThan(0)
  })
})

describe('the command', () => {
  test('keeps no report of a broken store', async () => {
    const { status, stdout, stderr } = await run(process.execPath, [MAIN, '--broken', '--keep', ...tiny])
    expect([status, stdout]).toEqual([2, ''])
    expect(stderr).toContain("'--broken' cannot be used with option '--keep'")
  })

  test('is interrupted at once, and leaves nothing behind', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'holdfast-test-'))
    onTestFinished(() => rmSync(folder, { recursive: true, force: true }))
    const child = spawn(process.execPath, [MAIN, '--store', 'sqlite', ...small], {
      env: { ...process.env, TMPDIR: folder },
      stdio: ['ignore', 'ignore', 'pipe'],
    })
    let said = ''
    await new Promise<void>((resolve) => {
      child.stderr.on('data', (chunk) => {
        said += String(chunk)
        if (said.includes('of 1000 operations')) resolve()
      })
    })
    expect(readdirSync(folder)).toHaveLength(1)
    child.kill('SIGINT')
    // The servers have its stream of errors, so that it closes with the last of them.
    expect(await once(child, 'close')).toEqual([130, null])
    expect(said).toContain('interrupted')
    expect(readdirSync(folder)).toEqual([])
  })
})
