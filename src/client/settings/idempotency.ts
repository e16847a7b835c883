import { DEFAULTS } from '../../defaults.ts'
import { randomUuid } from '../../http/uuid.ts'
import { withDefaults } from '../../options.ts'
import { checkFunction, checkKeys, checkOneOf, checkPositive, invalidOption } from '../../validate.ts'
import type { IdempotencyOptions } from '../options.ts'
import { checkMethods, upperCase } from './methods.ts'

export interface IdempotencySettings {
  readonly header: string
  readonly methods: ReadonlySet<string>
  /** Origins, or `undefined` for all. */
  readonly honoredBy: ReadonlySet<string> | undefined
  readonly generateKey: () => string
  readonly format: 'bare' | 'sf-string'
  readonly windowMs: number
}

const IDEMPOTENCY_KEYS = [...Object.keys(DEFAULTS.idempotency), 'generateKey']

/** RFC 9110, 5.6.2: what a header name is made of. */
const TOKEN = /^[\w!#$%&'*+.^`|~-]+$/

export function idempotencySettings(options: IdempotencyOptions): IdempotencySettings {
  checkKeys('idempotency', options, IDEMPOTENCY_KEYS)
  const { header, methods, honoredBy, format, windowMs } = withDefaults<KeySettings>(
    DEFAULTS.idempotency,
    options,
  )
  if (typeof header !== 'string' || !TOKEN.test(header))
    throw invalidOption('idempotency.header', 'a header name', header)
  checkMethods('idempotency.methods', methods)
  checkOneOf('idempotency.format', format, ['bare', 'sf-string'])
  checkPositive('idempotency.windowMs', windowMs)
  const { generateKey = randomUuid } = options
  checkFunction('idempotency.generateKey', generateKey)
  return {
    header,
    methods: upperCase(methods),
    honoredBy: originsOf(honoredBy),
    generateKey,
    format,
    windowMs,
  }
}

type KeySettings = Required<Omit<IdempotencyOptions, 'generateKey'>>

function originsOf(honoredBy: 'all' | readonly string[]): ReadonlySet<string> | undefined {
  if (honoredBy === 'all') {
    const page = globalThis.location?.origin
    // Outside a browser there is no page; 'null' is the origin of a file.
    return page === undefined || page === 'null' ? undefined : new Set([page])
  }
  if (!Array.isArray(honoredBy))
    throw invalidOption('idempotency.honoredBy', '"all" or an array of origins', honoredBy)
  return new Set(honoredBy.map(originOf))
}

function originOf(value: unknown): string {
  if (typeof value === 'string' && /^https?:/.test(value) && URL.canParse(value)) return new URL(value).origin
  throw invalidOption('each of idempotency.honoredBy', 'an origin like "https://api.example.com"', value)
}
