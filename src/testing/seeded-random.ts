import type { Random } from '../primitives/random.ts'

/** FNV-1a: spreads similar texts ("7:1", "7:2") over all 32 bits. */
function hash(text: string): number {
  let value = 0x811c9dc5
  for (let index = 0; index < text.length; index++) {
    value = Math.imul(value ^ text.charCodeAt(index), 0x01000193)
  }
  return value >>> 0
}

/**
 * Chance that repeats itself: equal parts give equal numbers, on every machine. Several parts make a pure function of
 * all of them, such as (seed, which order, which attempt), whatever else is drawn meanwhile. Not for secrets.
 *
 * @example
 * const fetch = createFetch({ random: seededRandom(7) })
 */
export function seededRandom(...parts: readonly (number | string)[]): Random {
  let state = hash(parts.join('\0'))
  // Mulberry32: one multiplication chain a number, and good enough for any test.
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
}
