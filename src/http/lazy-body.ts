/**
 * Under this a response of ours says whether its body is still coming, so that an abort could end it: a look at `body`
 * would make a stream of it. Not to hold what has come to its end to the caller's signal saves 2 of 15 us.
 */
export const IS_COMING: unique symbol = Symbol('is coming')

interface LazyBody {
  readonly [IS_COMING]?: boolean
}

/** Of other responses nobody knows how far they are: whether there is a body at all. */
export function isComing(response: Response): boolean {
  return (response as LazyBody)[IS_COMING] ?? response.body !== null
}

/** What has to be there for a body to be read: the response, or only its stream. A stream that is lazy holds both. */
export function holdersOf(response: Response): (object | null)[] {
  return (response as LazyBody)[IS_COMING] === undefined ? [response, response.body] : [response]
}
