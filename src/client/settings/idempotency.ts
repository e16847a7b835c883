import { CLIENT_DEFAULTS } from '../../primitives/client-defaults.ts'
import { checkKey } from '../../http/idempotency-key.ts'
import { originOf } from '../../http/parsed-url.ts'
import { randomUuid } from '../../http/uuid.ts'
import { withDefaults, type Complete } from '../../primitives/options.ts'
import { invalidOption } from '../../primitives/validate.ts'
import type { IdempotencyOptions } from '../options.ts'
import { upperCase } from './upper-case.ts'

export interface IdempotencySettings {
  readonly header: string
  readonly methods: ReadonlySet<string>
  /** Origins, or `undefined` for all. */
  readonly honoredBy: ReadonlySet<string> | undefined
  readonly generateKey: () => string
  readonly format: 'bare' | 'sf-string'
  readonly windowMs: number
}

type KeySettings = Complete<Omit<IdempotencyOptions, 'generateKey'>>

export function idempotencySettings(options: IdempotencyOptions): IdempotencySettings {
  const all = withDefaults<KeySettings>(CLIENT_DEFAULTS.idempotency, options)
  const { generateKey } = options
  return {
    ...all,
    methods: upperCase(all.methods),
    honoredBy: originsOf(all.honoredBy),
    // Only what others make is checked.
    generateKey: generateKey === undefined ? randomUuid : () => checkedKey(generateKey()),
  }
}

function checkedKey(key: unknown): string {
  checkKey('what idempotency.generateKey() returns', key)
  return key
}

function originsOf(honoredBy: 'all' | readonly string[]): ReadonlySet<string> | undefined {
  if (honoredBy === 'all') {
    const page = globalThis.location?.origin
    // Outside a browser there is no page; 'null' is the origin of a file.
    return page === undefined || page === 'null' ? undefined : new Set([page])
  }
  if (!Array.isArray(honoredBy))
    throw invalidOption('idempotency.honoredBy', '"all" or an array of origins', honoredBy)
  return new Set(honoredBy.map(checkedOrigin))
}

function checkedOrigin(value: unknown): string {
  const origin = originOf(String(value))
  if (origin !== undefined) return origin
  throw invalidOption('each of idempotency.honoredBy', 'an origin like "https://api.example.com"', value)
}
