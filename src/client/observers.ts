import { quietly } from '../emit.ts'
import { checkFunction, checkKeys } from '../validate.ts'
import type { Observer } from './options.ts'

/** @throws {HoldfastError} ERR_INVALID_OPTION */
export function checkObserver(observer: Observer): void {
  checkKeys('fetch.observe', observer, ['onEvent', 'onAttempt'])
  if (observer.onEvent !== undefined) checkFunction('fetch.observe onEvent', observer.onEvent)
  if (observer.onAttempt !== undefined) checkFunction('fetch.observe onAttempt', observer.onAttempt)
}

/** One function for what several observers want to see of an attempt; `undefined` where none does. */
export function onAttemptOf(observers: readonly Observer[]): Observer['onAttempt'] {
  const given = observers.flatMap(({ onAttempt }) => onAttempt ?? [])
  if (given.length === 0) return undefined
  return (attempt) => {
    for (const onAttempt of given) quietly(() => onAttempt(attempt))
  }
}
