import { parsedUrl } from '../../http/parsed-url.ts'
import {
  checkInteger,
  checkKeys,
  checkOneOf,
  checkPositive,
  invalidOption,
} from '../../primitives/validate.ts'

export type HeaderFields = Readonly<Record<string, string>>

export interface ConformanceOptions {
  /** Where the API serves the fixture: `url/effects` and `url/__count` are asked. */
  url: string | URL
  /** Headers of every request, such as credentials. */
  headers?: HeaderFields
  /**
   * The credentials of two clients, for the rows that are about them. All other rows are sent as the first. Where one
   * value begins with the other (`a:` and `a`), keys are tried that fill the difference.
   */
  principals?: readonly [HeaderFields, HeaderFields]
  /** Whether the API refuses writes without a key. Default `false`. */
  required?: boolean
  /** Whether the API takes structured-field strings only, and no bare keys. Default `false`. */
  strict?: boolean
  /** An origin that browsers may call the API from, for the row about CORS. */
  origin?: string
  /** The largest body the API takes, in bytes: one byte more has to be refused. Default 1 MiB. */
  maxBodyBytes?: number
  /** How long the handler is asked to run where something happens meanwhile, in ms. Default 400. */
  delayMs?: number
  /** The longest that a row may take, in ms. Default 15,000. */
  timeoutMs?: number
}

const KNOWN = [
  'url',
  'headers',
  'principals',
  'required',
  'strict',
  'origin',
  'maxBodyBytes',
  'delayMs',
  'timeoutMs',
] as const satisfies readonly (keyof ConformanceOptions)[]

export const CONFORMANCE_DEFAULTS = {
  required: false,
  strict: false,
  maxBodyBytes: 1_048_576,
  delayMs: 400,
  timeoutMs: 15_000,
} as const

export interface Settings {
  /** Without a slash at the end. */
  readonly url: string
  readonly headers: HeaderFields
  readonly principals: readonly [HeaderFields, HeaderFields] | undefined
  readonly required: boolean
  readonly strict: boolean
  readonly origin: string | undefined
  readonly maxBodyBytes: number
  readonly delayMs: number
  readonly timeoutMs: number
}

/** Everything checked and filled in. */
export function settle(options: ConformanceOptions): Settings {
  checkKeys('conformance', options, KNOWN)
  const settings = { ...CONFORMANCE_DEFAULTS, ...given(options) }
  checkOneOf('required', settings.required, [true, false])
  checkOneOf('strict', settings.strict, [true, false])
  checkInteger('maxBodyBytes', settings.maxBodyBytes, 1)
  checkPositive('delayMs', settings.delayMs)
  checkPositive('timeoutMs', settings.timeoutMs)
  const { headers = {}, origin, principals } = settings
  checkFields('headers', headers)
  if (principals !== undefined) {
    if (!Array.isArray(principals) || principals.length !== 2) {
      throw invalidOption('principals', 'the headers of two clients', principals)
    }
    for (const principal of principals) checkFields('principals', principal)
  }
  return {
    ...settings,
    url: checkUrl(settings.url),
    headers: inLowerCase(headers),
    origin,
    principals: principals && [inLowerCase(principals[0]), inLowerCase(principals[1])],
  }
}

/** Beside those that a request has by itself, which a `Host` is not to double. */
const inLowerCase = (fields: HeaderFields): HeaderFields =>
  Object.fromEntries(Object.entries(fields).map(([name, value]) => [name.toLowerCase(), value]))

/** An option that is `undefined` was not given. */
function given(options: ConformanceOptions): ConformanceOptions {
  const entries = Object.entries(options).filter(([, value]) => value !== undefined)
  return { ...Object.fromEntries(entries), url: options.url }
}

function checkUrl(url: string | URL): string {
  const parsed = parsedUrl(String(url))
  if (
    parsed === undefined ||
    !/^https?:$/.test(parsed.protocol) ||
    parsed.search !== '' ||
    parsed.hash !== ''
  ) {
    throw invalidOption('url', 'an http: or https: URL without a query', String(url))
  }
  // It is part of every report; a header is not.
  if (parsed.username !== '' || parsed.password !== '') {
    throw invalidOption('url', 'without a user and password, which go into headers', parsed.host)
  }
  return parsed.href.replace(/\/+$/, '')
}

/** How a message is framed, and what the rows are about. */
const SET_HERE = ['connection', 'content-length', 'idempotency-key', 'trailer', 'transfer-encoding']
const NAME = /^[!#$%&'*+.^_`|~\w-]+$/
/** In which Node sends them: Latin-1, without control characters. */
const VALUE = /^[\t\x20-\x7E\x80-\xFF]*$/

function checkFields(name: string, fields: unknown): void {
  const isFields =
    typeof fields === 'object' &&
    fields !== null &&
    Object.entries(fields).every(
      ([field, value]) => NAME.test(field) && typeof value === 'string' && VALUE.test(value),
    )
  // Never the values: they may be secrets.
  if (!isFields) throw invalidOption(name, 'an object of header names and values that can be sent', fields)
  const set = Object.keys(fields as HeaderFields).find((field) => SET_HERE.includes(field.toLowerCase()))
  if (set !== undefined)
    throw invalidOption(name, `without ${SET_HERE.join(', ')}, which each request sets itself`, set)
}
