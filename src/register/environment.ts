import type { RegisterConfig } from './config.ts'
import { RegisterError } from './register-error.ts'

export type Environment = Readonly<Record<string, string | undefined>>

/** Every variable that is read, besides `HOLDFAST_CONFIG` and `HOLDFAST_OFF`. */
const READERS: Readonly<Record<string, (name: string, text: string) => RegisterConfig>> = {
  HOLDFAST_REPORT: (name, text) => ({ report: flag(name, text) }),
  HOLDFAST_HONORED_BY: (_, text) => ({ idempotency: { honoredBy: listOf(text) } }),
  HOLDFAST_MAX_RETRIES: (name, text) => ({ retry: { maxRetries: whole(name, text) } }),
  HOLDFAST_ATTEMPT_MS: (name, text) => ({ timeout: { attemptMs: wholeOrOff(name, text) } }),
  HOLDFAST_TOTAL_MS: (name, text) => ({ timeout: { totalMs: wholeOrOff(name, text) } }),
}

/** @throws {RegisterError} naming the variable and its value */
export function readEnvironment(environment: Environment): RegisterConfig[] {
  return Object.entries(READERS).flatMap(([name, read]) => {
    const text = environment[name]
    return text === undefined || text === '' ? [] : [read(name, text)]
  })
}

/** @throws {RegisterError} */
export function flagOf(environment: Environment, name: string): boolean {
  const text = environment[name]
  return text !== undefined && text !== '' && flag(name, text)
}

function flag(name: string, text: string): boolean {
  if (text === '1' || text === 'true') return true
  if (text === '0' || text === 'false') return false
  throw new RegisterError(`${name} should be 1 or 0, got "${text}"`)
}

function whole(name: string, text: string): number {
  if (/^\d{1,15}$/.test(text)) return Number(text)
  throw new RegisterError(`${name} should be a whole number, got "${text}"`)
}

const wholeOrOff = (name: string, text: string): number | false =>
  text === 'off' ? false : whole(name, text)

const listOf = (text: string): string[] =>
  text
    .split(',')
    .map((entry) => entry.trim())
    .filter((entry) => entry !== '')
