import { expect, test } from 'vitest'
import { wantsColour } from './terminal.ts'

const write = (): void => {}
const screen = { write, isTTY: true }
const file = { write }

test('colours are for terminals', () => {
  expect(wantsColour(screen, {})).toBe(true)
  expect(wantsColour(file, {})).toBe(false)
  expect(wantsColour(screen, { TERM: 'dumb' })).toBe(false)
})

test('NO_COLOR and FORCE_COLOR overrule that', () => {
  expect(wantsColour(screen, { NO_COLOR: '1' })).toBe(false)
  expect(wantsColour(screen, { NO_COLOR: '' })).toBe(true)
  expect(wantsColour(file, { FORCE_COLOR: '1' })).toBe(true)
  expect(wantsColour(screen, { FORCE_COLOR: '0' })).toBe(false)
  expect(wantsColour(screen, { FORCE_COLOR: '1', NO_COLOR: '1' })).toBe(false)
})
