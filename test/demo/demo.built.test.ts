import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { root, run } from '../package/run.ts'

const BIN = join(root, 'dist/cli/main.js')

/** A folder for temporary files of its own, so that what is left behind can be seen. */
let folder = ''
beforeAll(() => void (folder = mkdtempSync(join(tmpdir(), 'holdfast-test-'))))
afterAll(() => rmSync(folder, { recursive: true, force: true }))

test('the demo bears out what it claims, and leaves nothing behind', async () => {
  const args = [BIN, 'demo', '--fast', '--json', '--orders', '120', '--seed', '7']
  const { status, stdout } = await run(process.execPath, args, {
    timeoutMs: 170_000,
    env: { TMPDIR: folder },
  })
  const report = JSON.parse(stdout) as Record<string, Record<string, number>>
  expect(Object.keys(report)).toEqual(['bare', 'naive', 'holdfast', 'faults'])
  expect(status).toBe(0)
  expect(report['holdfast']).toMatchObject({ ordered: 120, confirmed: 120, lost: 0, doubled: 0, unsure: 0 })
  expect(report['bare']!['lost']).toBeGreaterThan(0)
  expect(report['bare']!['doubled']).toBe(0)
  expect(report['naive']!['doubled']).toBeGreaterThan(0)
  expect(report['faults']!['lostAfterCommit']).toBeGreaterThan(0)
  for (const way of ['bare', 'naive', 'holdfast']) {
    const { ordered, confirmed, lost, unsure } = report[way]!
    expect(confirmed! + lost! + unsure!).toBe(ordered)
  }
  expect(readdirSync(folder)).toEqual([])
}, 180_000)

test('help for a reader who has seen enough ends without a word about the pipe', async () => {
  const child = spawn(process.execPath, [BIN, '--help'], { stdio: ['ignore', 'pipe', 'pipe'] })
  child.stdout.destroy()
  const said = text(child.stderr)
  expect(await once(child, 'exit')).toEqual([0, null])
  expect(await said).toBe('')
})

test('an interrupt ends it at once, and leaves nothing behind', async () => {
  const child = spawn(process.execPath, [BIN, 'demo', '--orders', '50'], {
    env: { ...process.env, TMPDIR: folder },
    stdio: ['ignore', 'ignore', 'pipe'],
  })
  let said = ''
  const begun = new Promise<void>((resolve) => {
    child.stderr.on('data', (chunk) => {
      said += String(chunk)
      if (said.includes('of 50')) resolve()
    })
  })
  await begun
  expect(readdirSync(folder)).toHaveLength(1)
  child.kill('SIGINT')
  expect(await once(child, 'exit')).toEqual([130, null])
  expect(said).toContain('interrupted')
  expect(readdirSync(folder)).toEqual([])
})

test('a usage error ends it with 2, and the help with 0', async () => {
  const wrong = await run(process.execPath, [BIN, 'demo', '--orders', 'many'])
  expect(wrong.status).toBe(2)
  expect(wrong.stdout).toBe('')
  expect((await run(process.execPath, [BIN, '--help'])).status).toBe(0)
})
