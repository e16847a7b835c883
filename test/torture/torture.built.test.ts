import { rolldown } from 'rolldown'
import { beforeAll, describe, expect, test } from 'vitest'
import { root, run } from '../package/run.ts'
import { testServersAreThere } from '../support/left-out.ts'
import { redisUrl } from '../support/redis.ts'
import { urlOf } from '../support/servers.ts'
import { POINTS } from './plan/points.ts'
import { sum, type Report } from './report/report.ts'
import { config, output } from './rolldown.config.ts'
import type { ShopName } from './settings.ts'

interface Ended {
  readonly status: number | string
  readonly report: Report
}

async function torture(shop: ShopName, ...args: readonly string[]): Promise<Ended> {
  const command = [`${root}/.cache/torture/main.js`, '--json', '--store', shop]
  const small = ['--servers', '2', '--clients', '16']
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

testServersAreThere()

/** All at once: most of their time they wait. */
let runs: Record<'sqlite' | 'redis' | 'broken', Promise<Ended>>

beforeAll(async () => {
  const bundle = await rolldown(config)
  await bundle.write(output)
  await bundle.close()
  const needsRedis = (...args: readonly string[]): Promise<Ended> =>
    redis === undefined ? new Promise(() => {}) : torture('redis', ...args)
  runs = {
    sqlite: torture('sqlite', '--operations', '100', '--kills', '8'),
    redis: needsRedis('--operations', '80', '--kills', '4'),
    broken: needsRedis('--operations', '60', '--kills', '4', '--broken'),
  }
  await Promise.allSettled(redis === undefined ? [runs.sqlite] : Object.values(runs))
}, 120_000)

describe('a short torture', () => {
  test('of SQLite, transactional: every operation is done exactly once', async () => {
    const ended = await runs.sqlite
    expect(verdict(ended)).toEqual([0, []])
    const { kills, freezes, faults, database } = ended.report
    expect(database).toEqual({ orders: 100, keys: 100 })
    expect(sum(kills)).toBe(8)
    expect(POINTS.filter((point) => (kills[point] ?? 0) > 0).length).toBeGreaterThan(POINTS.length / 2)
    expect(sum(freezes)).toBeGreaterThan(0)
    expect(sum(faults)).toBeGreaterThan(0)
  })

  test.skipIf(redis === undefined)('of Redis, block: no operation is done twice', async () => {
    const ended = await runs.redis
    expect(verdict(ended)).toEqual([0, []])
    const { operations, endings, kills, faults } = ended.report
    expect(operations).toBe(80)
    expect(sum(kills)).toBe(4)
    expect(endings['confirmed']).toBeGreaterThan(0)
    expect(endings['confirmed, replayed']).toBeGreaterThan(0)
    expect(Object.keys(faults).some((name) => name.startsWith('store: '))).toBe(true)
  })

  test.skipIf(redis === undefined)('of a store without fencing finds it out', async () => {
    const { status, report } = await runs.broken
    expect(status).toBe(1)
    expect(report.violations.kinds['doubled']).toBeGreaterThan(0)
  })
})
