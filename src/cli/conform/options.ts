import type { HeaderFields } from '../../testing/index.ts'

/** What `holdfast conform` was asked for. */
export interface ConformOptions {
  readonly header?: HeaderFields
  readonly principal?: readonly HeaderFields[]
  readonly required?: true
  readonly strict?: true
  readonly origin?: string
  readonly maxBodyBytes?: number
  readonly delayMs?: number
  readonly timeoutMs?: number
  readonly only?: readonly string[]
  readonly json: boolean
}
