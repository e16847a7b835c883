import { discard, isNoStream } from '../http/discard.ts'
import { headersOf } from '../http/headers-of.ts'
import { isSafe } from '../http/methods.ts'
import { parsedUrl } from '../http/parsed-url.ts'
import { onWorkers } from '../primitives/on-workers.ts'
import type { CacheClient, CacheRequest } from './client.ts'
import { unwrap, type Context, type Next, type Outcome } from '../core/policy.ts'
import { settled } from '../core/work.ts'
import {
  appraise,
  arrivalNow,
  isFresh,
  isStorable,
  satisfies,
  satisfiesDisconnected,
  requestDirectivesOf,
  type RequestDirectives,
} from './freshness.ts'
import type { RequestIdentity } from './keys.ts'
import type { StoredResponse } from './record.ts'
import { recorded } from './recording.ts'
import { nothingStored, servedResponse } from './served.ts'
import type { Found, Opened, ResponseStorage } from './response-storage.ts'
import { freshened, hasOwnCache, isConfirmed, storedHeaders, validatorsOf } from './stored-headers.ts'

export interface CacheParts {
  readonly storage: ResponseStorage
  readonly client: CacheClient
  readonly serveFresh: boolean
  readonly staleIfErrorMs: number
  readonly maxEntryBytes: number
  readonly identify: (request: CacheRequest) => string | undefined
}

/** Takes one call through the cache: a GET may be answered by it, a write invalidates, everything else passes by. */
export async function callThroughCache(
  parts: CacheParts,
  context: Context,
  next: Next<Response>,
): Promise<Response> {
  const request = parts.client.requestOf(context)
  if (request === undefined) return next(context)
  if (!isSafe(request.method)) return write(parts, request, await next(context))
  const wanted = requestDirectivesOf(request.headers, request.mode)
  const isOutside =
    request.method !== 'GET' ||
    !request.replaceable ||
    wanted.mode === 'no-store' ||
    hasOwnCache(request.headers)
  if (isOutside) return next(context)
  return new Read(parts, context, next, request, wanted).run()
}

/** A write that was not refused makes what is stored invalid, for everybody, also what it says that it made. */
async function write(
  { storage, client }: CacheParts,
  { url }: CacheRequest,
  response: Response,
): Promise<Response> {
  if (response.status >= 400) return response
  const named = ['location', 'content-location'].map((name) => headersOf(response).get(name))
  const base = response.url === '' ? url : response.url
  const targets = [url, ...named.filter((target) => target !== null)]
    .map((target) => parsedUrl(target, base))
    .filter((target) => target !== undefined)
    .filter(({ origin }) => origin === new URL(url).origin)
  await storage.invalidate(client.clock, [...new Set(targets.map(({ href }) => withoutFragment(href)))])
  return response
}

/** In what a URL was serialized to, the first # begins the fragment. To parse it again takes 1 us. */
const withoutFragment = (href: string): string => href.split('#', 1)[0] ?? href

/** In a browser a foreign origin would be asked for leave first (a preflight), and the browser has its own cache. */
function mayValidate(url: string): boolean {
  const page = globalThis.location?.origin
  return page === undefined || page === new URL(url).origin
}

/** A GET on its way through the cache. */
class Read {
  readonly #parts: CacheParts
  readonly #context: Context
  readonly #next: Next<Response>
  readonly #request: CacheRequest
  readonly #directives: RequestDirectives
  readonly #url: string
  readonly #identity: string | undefined

  constructor(
    parts: CacheParts,
    context: Context,
    next: Next<Response>,
    request: CacheRequest,
    wanted: RequestDirectives,
  ) {
    this.#parts = parts
    this.#context = context
    this.#next = next
    this.#request = request
    this.#directives = wanted
    this.#url = withoutFragment(request.url)
    this.#identity = parts.identify(request)
  }

  async run(): Promise<Response> {
    const { storage, client } = this.#parts
    const { scope } = this.#context
    const opened = await storage.open(client.clock, this.#url)
    const found =
      opened && this.#reads ? await storage.find(opened, this.#identityOf(this.#request.headers)) : undefined
    if (scope.aborted) throw scope.reason
    if (found !== undefined && this.#isEnough(found)) return this.#serve(found)
    if (this.#directives.mode === 'only-if-cached') return nothingStored()
    return this.#ask(opened, found && mayValidate(this.#url) ? found : undefined)
  }

  get #reads(): boolean {
    const { mode } = this.#directives
    if (mode === 'reload') return false
    // Otherwise it could only be validated.
    return (
      this.#parts.serveFresh || mode === 'force-cache' || mode === 'only-if-cached' || mayValidate(this.#url)
    )
  }

  /** Whether the origin need not be asked. What a redirect said of its own lifetime is not known. */
  #isEnough({ appraisal, meta }: Found): boolean {
    const { mode } = this.#directives
    if (mode === 'force-cache') return true
    // Asked for by a header it is meant within what the response and the request allow (RFC 9111, 5.2.1.7).
    if (mode === 'only-if-cached')
      return this.#request.mode === mode || satisfiesDisconnected(appraisal, this.#directives)
    const isServed = this.#parts.serveFresh && mode === 'default' && !meta.provenance.redirected
    return isServed && satisfies(appraisal, this.#directives)
  }

  async #ask(opened: Opened | undefined, found: Found | undefined, next = this.#next): Promise<Response> {
    const { client } = this.#parts
    const validators = found === undefined ? {} : validatorsOf(found.meta.headers)
    const isAsking = Object.keys(validators).length > 0
    if (isAsking) client.addHeaders(this.#context, validators)
    const outcome = await settled(next(this.#context))
    if (this.#context.scope.aborted) return unwrap(outcome)
    if (client.hasFailed(outcome, this.#context)) return this.#rescue(outcome)
    const response = unwrap(outcome)
    if (opened === undefined) return response
    if (response.status === 304 && found !== undefined && isAsking) {
      return this.#confirm(opened, found, response)
    }
    return this.#keep(opened, response)
  }

  /** The call has failed for good: what is stored is better than that, if it may be used. */
  async #rescue(outcome: Outcome<Response>): Promise<Response> {
    const found = await this.#findInstead()
    const { scope } = this.#context
    if (found === undefined || scope.aborted) return unwrap(outcome)
    if (!outcome.ok) return this.#serve(found)
    discard(outcome.value)
    return this.#serve(found, outcome.value.status)
  }

  /** Looks again: by the headers that were really sent, and for what has been stored meanwhile. */
  async #findInstead(): Promise<Found | undefined> {
    const { storage, client } = this.#parts
    const { mode } = this.#directives
    if (mode === 'reload' || mode === 'no-cache' || !this.#isSameUser()) return undefined
    await storage.written(this.#url)
    const opened = await storage.open(client.clock, this.#url)
    const sent = client.sentHeaders(this.#context) ?? this.#request.headers
    const found = opened && (await storage.find(opened, this.#identityOf(sent)))
    return found && satisfiesDisconnected(found.appraisal, this.#directives) ? found : undefined
  }

  #keep(opened: Opened, response: Response): Response {
    const { client, maxEntryBytes } = this.#parts
    // What has another kind of body, as a mock, could not be recorded.
    if (response.body !== null && isNoStream(response.body)) return response
    const sent = client.sentHeaders(this.#context)
    if (sent === undefined || !this.#isSameUser() || !isStorable(sent, response)) return response
    const { status, statusText, url, redirected, type } = response
    const arrival = arrivalNow(client.clock)
    const headers = storedHeaders(headersOf(response), arrival.wallMs, this.#request.coded)
    const meta = { status, statusText, headers, arrival, provenance: { url, redirected, type } }
    return recorded(response, maxEntryBytes, (body) => this.#save(opened, sent, { meta, body }))
  }

  /** In the background: it never rejects, and is to be waited for only on workers, where it would end with the request. */
  #save(opened: Opened, sent: Headers, stored: StoredResponse): Promise<void> | undefined {
    const saving = this.#parts.storage.save(opened, this.#identityOf(sent), stored)
    return onWorkers() ? saving : undefined
  }

  /** A 304 for validators that were the cache's own: the stored response is brought up to date, and is the answer. */
  async #confirm(opened: Opened, found: Found, response: Response): Promise<Response> {
    const { storage, client, staleIfErrorMs } = this.#parts
    discard(response)
    const confirmation = headersOf(response)
    const sent = client.sentHeaders(this.#context) ?? this.#request.headers
    const isOurs =
      this.#isSameUser() &&
      response.url === found.meta.provenance.url &&
      isConfirmed(found.meta.headers, confirmation) &&
      (await storage.fits(opened, found, this.#identityOf(sent)))
    // It speaks of another response, or to somebody else: only a whole one will do.
    if (!isOurs) {
      client.addHeaders(this.#context, {})
      return this.#ask(opened, undefined, client.again(this.#next))
    }
    const { scope } = this.#context
    if (scope.aborted) throw scope.reason
    const arrival = arrivalNow(client.clock)
    const headers = freshened(found.meta.headers, confirmation, arrival.wallMs)
    const meta = { ...found.meta, headers, arrival }
    const appraisal = appraise(meta, client.clock, staleIfErrorMs) ?? found.appraisal
    const stored = { ...found, meta, appraisal }
    const served = this.#serve(stored, 304)
    // `getSetCookie` is younger than some browsers.
    for (const [name, value] of confirmation) if (name === 'set-cookie') served.headers.append(name, value)
    if (isStorable(sent, served)) await this.#save(opened, sent, stored)
    else void storage.forget(client.clock, found.key)
    return served
  }

  #serve(found: Found, status?: number): Response {
    const { client } = this.#parts
    const { ageMs, lifetimeMs } = found.appraisal
    const fresh = isFresh(found.appraisal) ? 'fresh' : 'stale'
    client.onHit(this.#context, { kind: status === 304 ? 'revalidated' : fresh, ageMs })
    const forwarded = client.sentHeaders(this.#context) !== undefined
    return servedResponse(found, { ageMs, lifetimeMs, forwarded, status })
  }

  #identityOf(headers: Headers): RequestIdentity {
    const { credentials, coded } = this.#request
    return { url: this.#url, headers, credentials, identity: this.#identity, coded }
  }

  /** Whether `identity` still names the same user: another one may have signed in while the call was under way. */
  #isSameUser(): boolean {
    try {
      return this.#parts.identify(this.#request) === this.#identity
    } catch {
      return false
    }
  }
}
