import * as bulkhead from '../policies/bulkhead/bulkhead.ts'
import * as parking from '../policies/circuit-breaker/parking.ts'
import * as bodyIdle from './body-idle.ts'
import * as coalesce from './coalesce.ts'
import * as hedge from './hedge.ts'
import * as resumeBody from './resume-body.ts'
import { CODE } from './optional-policies.ts'

/** Has all code there at once: where time stands still, nothing can be waited for but time. */
export function haveAllCode(): void {
  CODE.bodyIdle.loaded = bodyIdle
  CODE.bulkhead.loaded = bulkhead
  CODE.coalesce.loaded = coalesce
  CODE.hedge.loaded = hedge
  CODE.parking.loaded = parking
  CODE.resumeBody.loaded = resumeBody
}
