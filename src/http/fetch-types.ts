/** fetch's own types, taken from the platform's declaration, so that DOM, Node and worker typings all fit. */
export type Fetch = typeof globalThis.fetch
export type FetchInput = Parameters<Fetch>[0]
export type BodyLike = NonNullable<RequestInit['body']>
export type HeadersLike = NonNullable<RequestInit['headers']>
