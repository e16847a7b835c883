import { describe, expect, test } from 'vitest'
import { preferredWaitSeconds } from './prefer.ts'

describe('the wait preference', () => {
  test.each([
    ['wait=5', 5],
    ['wait=0', 0],
    ['Wait = 10', 10],
    ['wait="10"', 10],
    ['respond-async, wait=100', 100],
    ['wait=7;note=x, return=minimal', 7],
    ['handling=lenient; a="b, wait=3", wait=4', 4],
    ['wait=1, wait=2', 1],
    [undefined, undefined],
    ['', undefined],
    ['return=minimal', undefined],
    ['wait', undefined],
    ['wait, wait=5', undefined],
    ['wait=', undefined],
    ['wait=-1', undefined],
    ['wait=1.5', undefined],
    ['wait=ten', undefined],
    ['waiting=5', undefined],
    ['x="wait=5', undefined],
    [`${'a,'.repeat(497)}wait=5`, 5],
    [`${'a,'.repeat(500)}wait=5`, undefined],
    [`${'a,'.repeat(497)}wait=5`.padEnd(1000), 5],
    [`${'a,'.repeat(497)}wait=5`.padEnd(1001), undefined],
  ])('of %o is %o', (header, seconds) => {
    expect(preferredWaitSeconds(header)).toBe(seconds)
  })
})
