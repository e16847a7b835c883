import type { Clock } from '../primitives/clock.ts'
import { discard } from '../http/discard.ts'
import { hedgeFrom } from '../policies/hedge/hedge.ts'
import type { HedgeSettings } from '../policies/hedge/settings.ts'
import { HedgeStore } from '../policies/hedge/stats.ts'
import type { Policy } from '../core/policy.ts'
import { callOf, type FetchCall } from './call.ts'

/** Hedges by HTTP's rules: what reads, and what carries a key, until there is an answer that is not tried again. */
export function hedgeCalls(settings: HedgeSettings, maxKeys: number, clock: Clock): Policy<Response> {
  return hedgeFrom<Response>(new HedgeStore(settings, maxKeys), {
    clock,
    discard,
    key: (context) => callOf(context).hedgeKey,
    isHedgeable(context) {
      const call = callOf(context)
      return call.keyed || !call.changesState
    },
    isReady: (context) => canSendBeside(callOf(context)),
    isGood: (outcome, context) => outcome.ok && callOf(context).verdictOf(outcome).next === 'accept',
    onHedge: (context) => callOf(context).resend(),
  })
}

/** Not while the first attempt still waits on this side, in line or for a circuit, and not without its bytes. */
function canSendBeside({ isRacing, body, caller: { request } }: FetchCall): boolean {
  if (!isRacing) return false
  return body === undefined ? (request?.body ?? null) === null : body.sentOnce === undefined
}
