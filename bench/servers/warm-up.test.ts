import { expect, test } from 'vitest'
import { isSteady } from './warm-up.ts'

test('a server is warm when its last batches are no faster than those before them', () => {
  expect(isSteady([50, 30, 25, 22, 21, 20, 20, 20, 20, 20])).toBe(false)
  expect(isSteady([25, 22, 20, 21, 20, 20, 20, 90, 20, 20])).toBe(true)
})

test('a few batches tell nothing', () => {
  expect(isSteady([20, 20, 20, 20, 20, 20, 20, 20, 20])).toBe(false)
})
