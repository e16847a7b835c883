import { DEFAULTS } from '../../defaults.ts'
import { checkStatuses } from '../../http/statuses.ts'
import { withDefaults } from '../../options.ts'
import { checkBackoff } from '../../policies/backoff.ts'
import { checkFunction, checkInteger, checkKeys, checkNumber } from '../../validate.ts'
import type { FetchRetryOptions } from '../options.ts'
import { checkMethods, upperCase } from './methods.ts'

export interface RetrySettings {
  readonly options: FetchRetryOptions
  readonly maxRetryAfterMs: number
  readonly maxBufferBytes: number
  readonly methods: ReadonlySet<string>
}

const RETRY_KEYS = [...Object.keys(DEFAULTS.retry), 'shouldRetry']

export function retrySettings(options: FetchRetryOptions): RetrySettings {
  checkKeys('retry', options, RETRY_KEYS)
  checkBackoff('retry', options)
  const { maxRetries, statuses, shouldRetry } = options
  const { maxRetryAfterMs, maxBufferBytes, methods } = withDefaults<Limits>(DEFAULTS.retry, options)
  if (maxRetries !== undefined) checkInteger('retry.maxRetries', maxRetries)
  checkNumber('retry.maxRetryAfterMs', maxRetryAfterMs)
  checkInteger('retry.maxBufferBytes', maxBufferBytes)
  checkMethods('retry.methods', methods)
  if (statuses !== undefined) checkStatuses('retry.statuses', statuses)
  if (shouldRetry !== undefined) checkFunction('retry.shouldRetry', shouldRetry)
  return { options, maxRetryAfterMs, maxBufferBytes, methods: upperCase(methods) }
}

type Limits = Required<Pick<FetchRetryOptions, 'maxRetryAfterMs' | 'maxBufferBytes' | 'methods'>>
