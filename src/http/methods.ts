/** Methods that change nothing (RFC 9110, 9.2.1). */
const SAFE = new Set(['GET', 'HEAD', 'OPTIONS', 'TRACE'])

/** Methods whose repetition means the same as one request (RFC 9110, 9.2.2). */
const IDEMPOTENT = new Set([...SAFE, 'PUT', 'DELETE'])

export const isSafe = (method: string): boolean => SAFE.has(method)

export const isIdempotent = (method: string): boolean => IDEMPOTENT.has(method)
