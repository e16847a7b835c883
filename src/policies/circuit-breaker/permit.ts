/** What an attempt says of the service's health. 'ignored' says nothing: the caller left, or nothing was sent. */
export type Verdict = 'success' | 'failure' | 'ignored'

/** The leave to make one attempt: the generation it belongs to, or `REFUSED`. */
export type Permit = number
export const REFUSED: Permit = 0
