import { readFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import { holdfast } from './program.test-support.ts'

test('without arguments it prints its help', async () => {
  const { code, stdout, stderr } = await holdfast()
  expect(code).toBe(0)
  expect(stdout).toContain('demo [options]')
  expect(stderr).toBe('')
})

test.each([['--help'], ['demo', '--help']])('help of %s', async (...args) => {
  const { code, stdout } = await holdfast(...args)
  expect(code).toBe(0)
  expect(stdout).toContain('Usage: holdfast')
})

test('the demo explains itself: options, defaults, exit codes', async () => {
  const { stdout } = await holdfast('demo', '--help')
  for (const expected of ['--orders', '--seed', '--fast', '--json', '(default: 500)', 'Exit code: 0']) {
    expect(stdout).toContain(expected)
  }
})

test('the version is that of the package', async () => {
  const manifest = JSON.parse(readFileSync('package.json', 'utf8')) as { version: string }
  expect(await holdfast('--version')).toEqual({ code: 0, stdout: `${manifest.version}\n`, stderr: '' })
})

test.each([
  [['demo', '--orders', 'many'], 'got "many"; try 500'],
  [['demo', '--orders', '49'], 'a whole number from 50 to 10000, got "49"'],
  [['demo', '--orders', '10001'], 'a whole number from 50 to 10000, got "10001"'],
  [['demo', '--orders', '1e3'], 'got "1e3"'],
  [['demo', '--seed=-1'], 'a whole number from 0 to 2147483647, got "-1"; try 1'],
  [['demo', '--seed', '1.5'], 'got "1.5"'],
  [['demo', '--slow'], "unknown option '--slow'"],
  [['demo', 'now'], 'too many arguments'],
  [['dmeo'], "unknown command 'dmeo'"],
])('%j is a usage error that shows the value and a remedy', async (args, message) => {
  const { code, stdout, stderr } = await holdfast(...args)
  expect(code).toBe(2)
  expect(stderr).toContain(message)
  // Options are in the help of their command.
  expect(stderr).toContain(
    args[0] === 'demo' ? 'holdfast demo --help tells more' : 'holdfast --help tells more',
  )
  expect(stdout).toBe('')
})
