import { checkFunction, checkOptions, type Rules } from '../primitives/validate.ts'
import type { Observer } from './options.ts'

const OBSERVER_RULES: Rules<Observer> = { onEvent: checkFunction, onAttempt: checkFunction }

/** @throws {HoldfastError} ERR_INVALID_OPTION */
export function checkObserver(observer: Observer): void {
  checkOptions('fetch.observe', observer, OBSERVER_RULES, 'fetch.observe ')
}
