/** What is too small for a file of tests each. */
import { expect, onTestFinished, test, vi } from 'vitest'
import { onWorkers } from './on-workers.ts'
import { withDefaults } from './options.ts'
import { systemRandom, uniform } from './random.ts'
import { reasonPhrase } from './reason-phrase.ts'

test('an option that is given takes the place of its default; undefined is not given, and what is no option stays out', () => {
  const defaults = { a: 1, b: 2, c: 3 }
  const given = { a: 0, b: undefined, d: 4 }
  expect(withDefaults(defaults, given)).toEqual({ a: 0, b: 2, c: 3 })
  expect(defaults).toEqual({ a: 1, b: 2, c: 3 })
})

test('a number is drawn between its bounds', () => {
  expect([0, 0.5, 0.75].map((drawn) => uniform(() => drawn, 10, 18))).toEqual([10, 14, 16])
  // oxlint-disable-next-line no-restricted-properties -- what the platform draws is what is passed on
  const draw = vi.spyOn(Math, 'random').mockReturnValueOnce(0.25)
  expect(systemRandom()).toBe(0.25)
  draw.mockRestore()
})

test.each([
  ['OK', 'OK'],
  ['Nicht gefunden: \t~ü', 'Nicht gefunden: \t~ü'],
  ['見つかりません', ''],
  ['a\nb', ''],
  ['\x7F', ''],
])('the words of a status are those that a response can be made with: %j', (text, kept) => {
  expect(reasonPhrase(text)).toBe(kept)
  expect(new Response(null, { statusText: kept }).statusText).toBe(kept)
})

test.each([
  [{ userAgent: 'Cloudflare-Workers' }, true],
  [{ userAgent: 'Node.js/24' }, false],
  [undefined, false],
])('only their own name makes it a worker: %j', (navigator, isWorker) => {
  vi.stubGlobal('navigator', navigator)
  onTestFinished(() => void vi.unstubAllGlobals())
  expect(onWorkers()).toBe(isWorker)
})
