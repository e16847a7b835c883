import { createHash } from 'node:crypto'

/** What a client was told of an operation in the end. */
export type Ending =
  /** It was done: the response, as a digest. */
  | { readonly type: 'confirmed'; readonly replayed: boolean; readonly digest: string }
  /** Nobody knows whether it was done, and nobody will do it again. */
  | { readonly type: 'unknown' }
  /** It failed for good, its effect possibly done: the digest of what was recorded. */
  | { readonly type: 'failed'; readonly replayed: boolean; readonly digest: string }
  /** No such answer should ever come: what it was. */
  | { readonly type: 'wrong'; readonly what: string }

/** An operation, and what everybody who sent it was told. */
export interface Observation {
  readonly operation: number
  readonly key: string
  readonly endings: readonly Ending[]
}

/** What has to be equal, byte for byte, in every response to an operation. */
export function digestOf(status: number, contentType: string | null, body: Uint8Array): string {
  return createHash('sha256').update(`${status}\n${contentType}\n`).update(body).digest('base64')
}
