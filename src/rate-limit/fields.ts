import { parseDictionary, parseList, type Parameters } from 'structured-headers'
import { headersOf } from '../http/headers-of.ts'
import { retryAfterMs } from '../http/retry-after.ts'

/** One quota of a service, as a response announces it. */
export interface QuotaReport {
  /** The policy's name, with its partition where it has one: quotas of different names are counted apart. */
  readonly name: string
  readonly remaining: number
  /** Until the quota is whole again. */
  readonly resetMs: number
  /** How much there will be then, and for how long, where the service says. */
  readonly limit: number | undefined
  readonly windowMs: number | undefined
}

/** A quota may count something else (bytes, concurrent requests), which can't be predicted from requests. */
const countsRequests = (parameters: Parameters): boolean =>
  (parameters.get('qu') ?? 'requests') === 'requests'

/** What a response tells of the service's limits. */
export interface LimitReport {
  readonly quotas: readonly QuotaReport[]
  /** Until when nothing should be sent: the Retry-After of a 429. */
  readonly pauseMs: number
}

export const NO_NEWS: LimitReport = { quotas: [], pauseMs: 0 }

/**
 * The limits that a response announces: in `RateLimit` and `RateLimit-Policy`
 * (draft-ietf-httpapi-ratelimit-headers-10: `"burst";r=5;t=30`), in the forms of the drafts before it that are still
 * sent (07: `limit=100, remaining=5, reset=30`; 06: three fields), and in the Retry-After of a 429. What is malformed
 * is ignored.
 */
export function limitsOf(response: Response, wallNowMs: number): LimitReport {
  const headers = headersOf(response)
  return {
    quotas: listed(headers) ?? dictionary(headers) ?? separate(headers) ?? [],
    pauseMs: (response.status === 429 ? retryAfterMs(headers, wallNowMs) : undefined) ?? 0,
  }
}

/** `"burst";r=5;t=30, "daily";r=900;t=60000`, with the quotas of `RateLimit-Policy: "burst";q=10;w=60`. */
function listed(headers: Headers): QuotaReport[] | undefined {
  const members = parsed(parseList, headers.get('ratelimit'))
  if (members === undefined) return undefined
  const policies = parsed(parseList, headers.get('ratelimit-policy')) ?? []
  return members.flatMap(([name, parameters]) => {
    if (typeof name !== 'string') return []
    const policy = policies.find(([policyName]) => policyName === name)?.[1]
    if (policy !== undefined && !countsRequests(policy)) return []
    const window = policy?.get('w')
    const made = report(nameOf(name, parameters.get('pk')), {
      remaining: parameters.get('r'),
      reset: parameters.get('t') ?? window,
      limit: policy?.get('q'),
      window,
    })
    return made ?? []
  })
}

/** A quota is one of a partition: of an account, of a region. */
function nameOf(name: string, partition: unknown): string {
  return partition instanceof ArrayBuffer ? `${name} ${[...new Uint8Array(partition)].join('.')}` : name
}

/** `limit=100, remaining=5, reset=30`. */
function dictionary(headers: Headers): QuotaReport[] | undefined {
  const members = parsed(parseDictionary, headers.get('ratelimit'))
  return members === undefined ? undefined : only((name) => members.get(name)?.[0])
}

const INTEGER = /^\d{1,15}$/

/** `RateLimit-Remaining: 5` and its siblings. */
function separate(headers: Headers): QuotaReport[] | undefined {
  return only((name) => {
    const text = headers.get(`ratelimit-${name}`)?.trim() ?? ''
    return INTEGER.test(text) ? Number(text) : undefined
  })
}

/** The older drafts know one quota, without a name. */
function only(value: (name: string) => unknown): QuotaReport[] | undefined {
  const fields = { remaining: value('remaining'), reset: value('reset'), limit: value('limit') }
  const made = report('default', fields)
  return made === undefined ? undefined : [made]
}

/** As they stand in the header; times in seconds. */
interface Announced {
  readonly remaining: unknown
  readonly reset: unknown
  readonly limit?: unknown
  readonly window?: unknown
}

/** `undefined` for what cannot be paced by: no number of requests left, or no time when there will be more. */
function report(name: string, { remaining, reset, limit, window }: Announced): QuotaReport | undefined {
  if (!isCount(remaining) || !isCount(reset)) return undefined
  return {
    name,
    remaining,
    resetMs: reset * 1000,
    limit: isCount(limit) ? limit : undefined,
    windowMs: isCount(window) ? window * 1000 : undefined,
  }
}

const isCount = (value: unknown): value is number => typeof value === 'number' && value >= 0

function parsed<T>(parse: (text: string) => T, text: string | null): T | undefined {
  if (text === null) return undefined
  try {
    return parse(text)
  } catch {
    return undefined
  }
}
