/** `holdfast/register` in processes of its own, as it is used. */
import { describe, expect, test } from 'vitest'
import { faultServer, status } from '../../src/testing/index.ts'
import { root, run } from '../package/run.ts'

interface Settings {
  readonly flag?: string
  readonly environment?: Record<string, string>
}

const process_ = (script: string, { flag = '--import', environment = {} }: Settings = {}) =>
  run(process.execPath, [flag, 'holdfast/register', '--eval', script], {
    cwd: root,
    timeoutMs: 5000,
    env: environment,
  })

const CALL = `fetch(process.env.TARGET, { method: process.env.METHOD ?? 'GET' })
  .then(async (response) => console.log(response.status, await response.text()))`

describe('a process with holdfast/register', () => {
  test.each(['--import', '--require'])('gets its answer in spite of a failure, by %s', async (flag) => {
    await using server = await faultServer({ faults: [status(503, { headers: { 'retry-after': '0' } })] })
    const environment = { TARGET: server.url, HOLDFAST_REPORT: '1' }
    const { status: code, stdout, stderr } = await process_(CALL, { flag, environment })
    expect(code).toBe(0)
    expect(stdout.trim()).toBe('200 {"ok":true}')
    expect(stderr).toContain('holdfast: 1 call, 2 requests, 1 retry, 0 failed\n')
    expect(stderr).toContain(`  ${server.url}: 1 call`)
  })

  test('sends a key only to who is named', async () => {
    await using server = await faultServer()
    const target = { TARGET: server.url, METHOD: 'POST' }
    await process_(CALL, { environment: target })
    await process_(CALL, { environment: { ...target, HOLDFAST_HONORED_BY: server.url } })
    const keys = server.requests.map(({ headers }) => headers['idempotency-key'])
    expect(keys).toEqual([undefined, expect.stringMatching(/^[0-9a-f-]{36}$/)])
  })

  test('has its own fetch where it is off', async () => {
    const { stdout } = await process_('console.log(fetch.describe)', { environment: { HOLDFAST_OFF: '1' } })
    expect(stdout.trim()).toBe('undefined')
  })

  test.each([
    ['by a signal', '', 'SIGTERM'],
    ['by its own answer to one', `process.once('SIGTERM', () => process.exit());`, 0],
  ])('reports once when it ends %s', async (_, listen, ending) => {
    const script = `${listen} setInterval(() => {}, 1000); process.kill(process.pid, 'SIGTERM')`
    const { status: code, stderr } = await process_(script, { environment: { HOLDFAST_REPORT: '1' } })
    expect(stderr).toBe('holdfast: 0 calls, 0 requests, 0 retries, 0 failed\n')
    expect(code).toBe(ending)
  })

  test('sends past what wraps its fetch later, in whatever way', async () => {
    await using server = await faultServer({ faults: [status(503, { headers: { 'retry-after': '0' } })] })
    const wrapper = `let wrapped = 0
      const before = globalThis.fetch
      globalThis.fetch = async (input, init) => {
        if (++wrapped > 9) process.exit(9)
        await Promise.resolve()
        return before(new Request(input, init))
      }
      process.on('exit', () => console.log('wrapped', wrapped));`
    const environment = { TARGET: server.url }
    const { stdout } = await process_(wrapper + CALL, { environment })
    expect(stdout.trim().split('\n')).toEqual(['200 {"ok":true}', 'wrapped 1'])
    expect(server.requests).toHaveLength(2)
  })

  test('does not start with a setting that is wrong', async () => {
    const {
      status: code,
      stdout,
      stderr,
    } = await process_('console.log("started")', {
      environment: { HOLDFAST_MAX_RETRIES: 'many' },
    })
    expect(code).toBe(1)
    expect(stdout).toBe('')
    expect(stderr).toContain('holdfast/register: HOLDFAST_MAX_RETRIES should be a whole number, got "many"')
  })
})
