import { discard } from '../http/discard.ts'
import { splitResponse } from '../http/split-response.ts'
import { coalesceBy, type HandOut } from '../policies/coalesce.ts'
import type { Context, Outcome, Policy } from '../core/policy.ts'
import { Scope } from '../primitives/signal.ts'
import { callOf, type FetchCall } from './call.ts'
import { initOf } from './request.ts'
import { routeOf } from './transport.ts'

/** Calls of the same pipeline that ask for exactly the same at the same time share one request. */
export function coalesceCalls(): Policy<Response> {
  return coalesceBy<Response>({ key: (context) => identityOf(callOf(context)), handOut, discard })
}

/** Told of elsewhere, or nothing that a service could see. */
const NO_IDENTITY = new Set(['method', 'headers', 'body', 'signal', 'duplex', 'holdfast'])

/** Everything that makes the request, known to us or not; `undefined` for one that is never shared. */
function identityOf(call: FetchCall): string | undefined {
  const { url, caller } = call
  const { method, init, request } = caller
  const hasBody = (init.body ?? request?.body ?? init.holdfast?.body ?? undefined) !== undefined
  if (hasBody || !['GET', 'HEAD'].includes(method)) return undefined
  const headers = sortedHeaders(init.headers)
  if (headers === undefined) return undefined
  const given = Object.entries(init).filter(([, value]) => value !== undefined)
  const members = { ...(request === undefined ? {} : initOf(request)), ...Object.fromEntries(given) }
  const others = Object.entries(members)
    .filter(([name]) => !NO_IDENTITY.has(name))
    .toSorted(([a], [b]) => (a < b ? -1 : 1))
    .map(([name, value]) => [name, identityOfValue(value)])
  const added = Object.entries(call.extraHeaders ?? {})
  const way = identityOfValue(routeOf(init)?.owner)
  return JSON.stringify([method, url.href, call.key, call.idempotencyKey, headers, added, others, way])
}

/** `undefined` for malformed ones: those can't be sent, and the transport will say so. */
function sortedHeaders(headers: RequestInit['headers']): [string, string][] | undefined {
  try {
    return [...new Headers(headers)]
  } catch {
    return undefined
  }
}

const numbers = new WeakMap<object, number>()
let lastNumber = 0

/** An object, such as a dispatcher, is the same only as itself. */
function identityOfValue(value: unknown): string | number {
  if ((typeof value !== 'object' && typeof value !== 'function') || value === null) {
    return `${typeof value} ${String(value)}`
  }
  const number = numbers.get(value) ?? ++lastNumber
  numbers.set(value, number)
  return number
}

const handOut: HandOut<Response> = (outcome, waiting, run) => {
  const leader = callOf(run)
  for (const call of waiting.map(callOf)) if (call !== leader) credit(call, leader, outcome)
  if (!outcome.ok) return waiting.map(() => outcome)
  return responsesFor(waiting, run, outcome.value).map((value) => ({ ok: true, value }))
}

/** What the run took is what the call took. */
function credit(call: FetchCall, leader: FetchCall, outcome: Outcome<Response>): void {
  call.attempts = leader.attempts
  call.delaysMs = [...call.delaysMs, ...leader.delaysMs]
  call.isBodyWatched = leader.isBodyWatched
  call.sentHeaders = leader.sentHeaders
  if (!outcome.ok && leader.isLocal(outcome)) call.local(outcome.error)
}

function responsesFor(waiting: readonly Context[], run: Context, response: Response): Response[] {
  const [only] = waiting
  if (only !== undefined && waiting.length === 1) {
    // Nobody shares it any more: the body is that call's own.
    run.scope.moveUnder(only.scope)
    callOf(only).answered(response, callOf(run).scopeOf(response) ?? run.scope)
    return [response]
  }
  const scopes = waiting.map((context) => new Scope(context.scope))
  const responses = splitResponse(response, scopes, (last) => run.scope.onAbort(last))
  waiting.forEach((context, place) => {
    const [own, scope] = [responses[place], scopes[place]]
    if (own !== undefined && scope !== undefined) callOf(context).answered(own, scope)
  })
  return responses
}
