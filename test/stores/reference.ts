/** What the rules of the store interface make of each call, in as few words as possible: what stores are held against. */
import type { AcquireRequest, AcquireResult, Lease } from '../../src/idempotency/store.ts'

interface Kept {
  state: 'active' | 'done' | 'released'
  fingerprint: string
  owner: string
  fence: number
  leaseUntilMs: number
  windowEndMs: number
  expiresMs: number
  response: Uint8Array | undefined
}

type Owned = 'heartbeat' | 'complete' | 'release'

/** What an owner's call does where the record is theirs, by its state; anything else refuses it. */
const ALLOWED: Readonly<Record<Owned, readonly Kept['state'][]>> = {
  heartbeat: ['active'],
  complete: ['active', 'done'],
  release: ['active', 'released'],
}

export class Reference {
  nowMs = 0
  readonly #scopes = new Map<string, Map<string, Kept>>()

  /** Every answer that a store may give; who has expired may have been forgotten, and its fence with it. */
  acquire(request: AcquireRequest): readonly AcquireResult[] {
    const kept = this.#kept(request)
    const isThere = kept !== undefined && kept.expiresMs > this.nowMs
    if (!isThere) {
      const full = this.#full(request)
      if (full !== undefined) return [full]
      return [1, ...(kept === undefined ? [] : [kept.fence + 1])].map((fence) => ({
        type: 'acquired',
        fence,
      }))
    }
    const taken: AcquireResult = { type: 'acquired', fence: kept.fence + 1 }
    if (kept.state === 'released') return [taken]
    if (kept.fingerprint !== request.fingerprint) return [{ type: 'mismatch' }]
    if (kept.response !== undefined) return [{ type: 'done', response: kept.response }]
    if (kept.owner === request.owner) return [{ type: 'acquired', fence: kept.fence }]
    if (kept.leaseUntilMs > this.nowMs)
      return [{ type: 'busy', retryAfterMs: kept.leaseUntilMs - this.nowMs }]
    return [request.abandoned === 'takeover' ? taken : { type: 'abandoned' }]
  }

  /** Takes over what the store has said. */
  acquired(request: AcquireRequest, fence: number): void {
    const { scope, key, fingerprint, owner, leaseMs, ttlMs } = request
    const kept = this.#kept(request)
    if (
      kept?.owner === owner &&
      kept.state === 'active' &&
      kept.fence === fence &&
      kept.expiresMs > this.nowMs
    )
      return
    const leaseUntilMs = this.nowMs + leaseMs
    const windowEndMs = this.nowMs + ttlMs
    const expiresMs = Math.max(windowEndMs, leaseUntilMs + leaseMs)
    const record: Kept = {
      state: 'active',
      fingerprint,
      owner,
      fence,
      leaseUntilMs,
      windowEndMs,
      expiresMs,
      response: undefined,
    }
    const keys = this.#scopes.get(scope) ?? new Map<string, Kept>()
    this.#scopes.set(scope, keys.set(key, record))
  }

  /** Whether an owner's call succeeds; `undefined` where the record has expired, and may have been forgotten. */
  owns(call: Owned, lease: Lease): boolean | undefined {
    const kept = this.#kept(lease)
    const isTheirs = kept?.owner === lease.owner && ALLOWED[call].includes(kept.state)
    if (!isTheirs) return false
    return kept.expiresMs > this.nowMs ? true : undefined
  }

  /** What an owner's call has done that succeeded. */
  did(call: Owned, lease: Lease, response?: Uint8Array): void {
    const kept = this.#kept(lease)
    if (kept === undefined || kept.state === 'done') return
    if (call === 'release') kept.state = 'released'
    if (call === 'heartbeat') kept.leaseUntilMs = this.nowMs + lease.leaseMs
    if (call === 'complete') Object.assign(kept, { state: 'done', response })
    const sinceMs = call === 'complete' ? this.nowMs : kept.leaseUntilMs
    if (call !== 'release') kept.expiresMs = Math.max(kept.windowEndMs, sinceMs + lease.leaseMs)
  }

  /** An owner's call has failed although the record was theirs: it had been forgotten. */
  forget({ scope, key }: Lease): void {
    this.#scopes.get(scope)?.delete(key)
  }

  read(lease: Lease): { readonly response: Uint8Array | undefined; readonly expired: boolean } {
    const kept = this.#kept(lease)
    const response = kept?.fingerprint === lease.fingerprint ? kept.response : undefined
    return { response, expired: kept !== undefined && kept.expiresMs <= this.nowMs }
  }

  #kept({ scope, key }: Lease): Kept | undefined {
    return this.#scopes.get(scope)?.get(key)
  }

  #full({ scope, maxKeysPerScope }: AcquireRequest): AcquireResult | undefined {
    const all = [...(this.#scopes.get(scope)?.values() ?? [])]
    const there = all.filter(({ expiresMs }) => expiresMs > this.nowMs)
    if (there.length < maxKeysPerScope) return undefined
    const retryAfterMs = Math.min(...there.map(({ expiresMs }) => expiresMs)) - this.nowMs
    return { type: 'full', limit: 'scope', retryAfterMs }
  }
}
