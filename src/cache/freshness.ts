import CachePolicy from 'http-cache-semantics'
import type { Clock } from '../primitives/clock.ts'
import { headersOf } from '../http/headers-of.ts'
import { randomUuid } from '../http/uuid.ts'
import type { Arrival, ResponseMeta } from './record.ts'

type Directives = Readonly<Record<string, string | true>>
type PlainHeaders = Record<string, string>

/** Statuses of answers that are no whole representation, or that lead elsewhere. */
const isWhole = (status: number): boolean => status !== 206 && (status < 300 || status >= 400)

/**
 * Names of directives are case-insensitive (RFC 9111, 5.2), and of one that is given twice the first counts (4.2.1); the
 * library looks for small letters only, and takes the last.
 */
function plain(headers: Headers): PlainHeaders {
  const all: PlainHeaders = Object.fromEntries(headers)
  const directives = headers.get('cache-control')
  if (directives !== null) all['cache-control'] = directives.toLowerCase().split(',').toReversed().join(',')
  return all
}

/** `immutable` lengthens no lifetime (RFC 8246, 2); by default the library makes it 1000 days. */
const OPTIONS = { shared: false, immutableMinTimeToLive: 0 }

function policyOf(request: Headers, status: number, headers: Headers): CachePolicy {
  const response = { status, headers: plain(headers) }
  return new CachePolicy({ method: 'GET', headers: plain(request) }, response, OPTIONS)
}

const NO_HEADERS = new Headers()

/** Whether a private cache may keep the answer to a GET that was sent with `request` (RFC 9111, 3). */
export function isStorable(request: Headers, response: Response): boolean {
  const { status } = response
  const headers = headersOf(response)
  return isWhole(status) && !varyOf(headers).includes('*') && policyOf(request, status, headers).storable()
}

/** The request headers that select a response, sorted. */
export function varyOf(headers: Headers): readonly string[] {
  const names = (headers.get('vary') ?? '').toLowerCase().split(',')
  return [...new Set(names.map((name) => name.trim()).filter((name) => name !== ''))].toSorted()
}

/** Directives that a message carries, `Pragma: no-cache` among them. */
const directivesOf = (policy: CachePolicy): Directives => policy.toObject().rescc

const NO_DIRECTIVES: Directives = {}

/** Most requests carry none, and the library takes 2 us to find that out. */
function directivesOfRequest(headers: Headers): Directives {
  const hasAny = headers.has('cache-control') || headers.has('pragma')
  return hasAny ? directivesOf(policyOf(NO_HEADERS, 200, headers)) : NO_DIRECTIVES
}

/** A directive's seconds in ms: `undefined` where it is missing, 0 where it is malformed. */
function msOf(directives: Directives, name: string): number | undefined {
  const value = directives[name]
  if (value === undefined) return undefined
  return secondsToMs(String(value))
}

/** What is longer counts as this long (RFC 9111, 1.2.2): stores take no number of any size. */
const MAX_SECONDS = 2 ** 31

/** What is malformed or negative counts as none. */
const secondsToMs = (text: string | null): number => boundedMs(Number.parseInt(text ?? '', 10) || 0)

const boundedMs = (seconds: number): number => Math.min(Math.max(0, seconds), MAX_SECONDS) * 1000

/** Which stored responses a request accepts (RFC 9111, 5.2.1, and RFC 5861, 4). */
export interface RequestDirectives {
  readonly mode: RequestCache
  readonly maxAgeMs: number
  readonly minFreshMs: number
  /** How long past its freshness a response may be, when the origin does not answer. */
  readonly staleMs: number
}

const MODES = ['no-store', 'only-if-cached', 'no-cache'] as const

/** A mode that `init.cache` names goes before what the headers say. */
export function requestDirectivesOf(headers: Headers, mode: RequestCache): RequestDirectives {
  const directives = directivesOfRequest(headers)
  const named = MODES.find((name) => name in directives)
  const maxAgeMs = msOf(directives, 'max-age')
  const minFreshMs = msOf(directives, 'min-fresh')
  const isStrict = maxAgeMs !== undefined || minFreshMs !== undefined
  return {
    mode: mode === 'default' ? (named ?? mode) : mode,
    maxAgeMs: maxAgeMs ?? Infinity,
    minFreshMs: minFreshMs ?? 0,
    staleMs: msOf(directives, 'stale-if-error') ?? maxStaleMs(directives) ?? (isStrict ? 0 : Infinity),
  }
}

/** Without a value it means any. */
function maxStaleMs(directives: Directives): number | undefined {
  return directives['max-stale'] === true ? Infinity : msOf(directives, 'max-stale')
}

/** A stored response, judged now. */
export interface Appraisal {
  readonly ageMs: number
  /** How long it is fresh, counted as its age is. */
  readonly lifetimeMs: number
  /** How long past that it may be used while its origin does not answer: 0 where it says that it must not. */
  readonly staleMs: number
  readonly hasValidator: boolean
}

const FORBID_STALE = ['must-revalidate', 'proxy-revalidate', 'no-cache']

/** Judges a stored response; `undefined` where its age can't be known. */
export function appraise(meta: ResponseMeta, clock: Clock, staleIfErrorMs: number): Appraisal | undefined {
  const headers = new Headers(meta.headers.map(([name, value]): [string, string] => [name, value]))
  const residenceMs = residenceOf(meta.arrival, clock)
  if (residenceMs === undefined) return undefined
  const policy = policyOf(NO_HEADERS, meta.status, headers)
  const directives = directivesOf(policy)
  const isForbidden = FORBID_STALE.some((name) => name in directives)
  const ownMs = msOf(directives, 'stale-if-error') ?? Infinity
  return {
    ageMs: secondsToMs(headers.get('age')) + residenceMs,
    lifetimeMs: lifetimeOf(policy, 'max-age' in directives || headers.has('expires')),
    staleMs: isForbidden ? 0 : Math.min(staleIfErrorMs, ownMs),
    hasValidator: headers.has('etag') || headers.has('last-modified'),
  }
}

/** Limits the heuristic lifetime (RFC 9111, 4.2.2) of a response without one: a tenth of its age since `Last-Modified`. */
const MAX_GUESSED_MS = 86_400_000

function lifetimeOf(policy: CachePolicy, isTold: boolean): number {
  // Not `timeToLive()`: that adds the stale windows.
  const lifetimeMs = boundedMs(policy.maxAge())
  return isTold ? lifetimeMs : Math.min(lifetimeMs, MAX_GUESSED_MS)
}

export const isFresh = ({ ageMs, lifetimeMs }: Appraisal): boolean => ageMs < lifetimeMs

/** Until when the request counts it as fresh. */
function acceptedMs({ lifetimeMs }: Appraisal, { maxAgeMs, minFreshMs }: RequestDirectives): number {
  return Math.min(lifetimeMs - minFreshMs, maxAgeMs)
}

/** Whether it can be served without asking the origin. */
export function satisfies(appraisal: Appraisal, wanted: RequestDirectives): boolean {
  return appraisal.ageMs < acceptedMs(appraisal, wanted)
}

/** Whether it can be served when the origin does not answer (RFC 9111, 4.2.4). */
export function satisfiesDisconnected(appraisal: Appraisal, wanted: RequestDirectives): boolean {
  if (satisfies(appraisal, wanted)) return true
  const { ageMs, lifetimeMs, staleMs } = appraisal
  // What must not be stale may still be older than the request would like.
  if (!isFresh(appraisal) && ageMs >= lifetimeMs + staleMs) return false
  return ageMs < acceptedMs(appraisal, wanted) + wanted.staleMs
}

/** For how long it can be of use: served, or confirmed by its origin. */
export function usefulMs({ ageMs, lifetimeMs, staleMs, hasValidator }: Appraisal, keepMs: number): number {
  return lifetimeMs - ageMs + (hasValidator ? keepMs : staleMs)
}

/** Clocks of machines that share a store differ; by more than this, one of them is wrong. */
const MAX_SKEW_MS = 60_000

const sessions = new WeakMap<Clock, string>()

function sessionOf(clock: Clock): string {
  const known = sessions.get(clock)
  if (known !== undefined) return known
  const session = randomUuid()
  sessions.set(clock, session)
  return session
}

export function arrivalNow(clock: Clock): Arrival {
  return { wallMs: clock.wallNow(), monotonicMs: clock.now(), session: sessionOf(clock) }
}

/** How long ago it arrived, by the clock that has moved more: a clock that jumps back makes nothing younger. */
function residenceOf({ wallMs, monotonicMs, session }: Arrival, clock: Clock): number | undefined {
  const byWallMs = clock.wallNow() - wallMs
  if (session === sessionOf(clock)) return Math.max(byWallMs, clock.now() - monotonicMs, 0)
  return byWallMs < -MAX_SKEW_MS ? undefined : Math.max(byWallMs, 0)
}
