/**
 * The server half: an API remembers idempotency keys, recognizes a request it has seen and answers it with the first
 * response. Here for web-standard handlers, and the engine for any other framework.
 *
 * @module
 * @example
 * import { idempotency } from 'holdfast/idempotency'
 * import { memoryStore } from 'holdfast/stores/memory'
 *
 * const protect = idempotency({ store: memoryStore() })
 * export default { fetch: protect((request) => createOrder(request)) }
 */
export type { Answer, HandlerResponse, HeaderLine, ResponseHead } from './answer.ts'
export { attach, idempotencyOf, type Idempotency } from './context.ts'
export { SERVER_DEFAULTS } from './defaults.ts'
export { Engine, KEY_HEADER, type Admission, type RequestView, type Screening } from './engine.ts'
export type { IdempotencyEvent, OnIdempotencyEvent, RequestInfo, StoreOperation } from './events.ts'
export type { Execution } from './execution.ts'
export type { Fingerprint } from './fingerprint.ts'
export { idempotency, type WebHandler } from './handler.ts'
export { CORS_HEADERS } from './headers.ts'
export type { IdentitySource } from './identity.ts'
export type { KeySyntax } from './key.ts'
export type { IdempotencyOptions, Settings } from './options.ts'
export { problem, type ProblemCode, type ProblemOptions } from './problem.ts'
export type { Ending, ReleaseRule } from './release-rule.ts'
export type { EncryptionKey, EncryptionOptions } from './sealed.ts'
export type {
  AbandonedPolicy,
  AcquireRequest,
  AcquireResult,
  IdempotencyStore,
  Lease,
  StoreTransaction,
} from './store.ts'
export { TransactionLostError } from './transaction.ts'
export type { EarlyResponse, FindResponse, Verdict } from './verdict.ts'
