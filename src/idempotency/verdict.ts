import type { Answer, HandlerResponse } from './answer.ts'

/** What a framework has to do with the response its handler made. */
export type Verdict =
  /** Send it, with this `Idempotency-Status` if there is one. */
  | { readonly type: 'own'; readonly status: 'stored' | 'unsaved' | undefined }
  /** Discard it and send this. */
  | { readonly type: 'other'; readonly answer: Answer }
  /** Discard it: the transaction it was made in has rolled back, and the handler may respond again. */
  | { readonly type: 'void'; readonly error: unknown }

/** What a handler threw, where a framework's error handler answers for it. */
export interface Thrown {
  readonly error: unknown
}

/** A response found in what `transaction(fn)` resolved to, and what the handler gets in its place. */
export interface EarlyResponse {
  readonly response: HandlerResponse
  readonly value: unknown
}

/** How a framework recognizes its own kind of response among values. */
export type FindResponse = (value: unknown) => Promise<EarlyResponse | undefined>
