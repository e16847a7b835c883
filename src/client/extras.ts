/**
 * What is off by default, in one piece of code that is loaded when it is first needed.
 *
 * @module
 */
export { bulkheadBy } from '../policies/bulkhead/bulkhead.ts'
export { parkingOf } from '../policies/circuit-breaker/parking.ts'
export { watchBody } from './body-idle.ts'
export { coalesceCalls } from './coalesce.ts'
export { hedgeCalls } from './hedge.ts'
export { resumable } from './resume-body.ts'
