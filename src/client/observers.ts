import { quietly } from '../emit.ts'
import { checkFunction, checkOptions, type Rules } from '../validate.ts'
import type { Observer } from './options.ts'

const OBSERVER_RULES: Rules<Observer> = { onEvent: checkFunction, onAttempt: checkFunction }

/** @throws {HoldfastError} ERR_INVALID_OPTION */
export function checkObserver(observer: Observer): void {
  checkOptions('fetch.observe', observer, OBSERVER_RULES, 'fetch.observe ')
}

/** One function for what several observers want to see of an attempt; `undefined` where none does. */
export function onAttemptOf(observers: readonly Observer[]): Observer['onAttempt'] {
  const given = observers.flatMap(({ onAttempt }) => onAttempt ?? [])
  if (given.length === 0) return undefined
  return (attempt) => {
    for (const onAttempt of given) quietly(() => onAttempt(attempt))
  }
}
