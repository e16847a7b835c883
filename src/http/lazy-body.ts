/** Under this a response of ours says whether it has a body: a look at its `body` would make a stream of it. */
export const HAS_BODY: unique symbol = Symbol('has body')

interface LazyBody {
  readonly [HAS_BODY]?: boolean
}

export function hasBody(response: Response): boolean {
  return (response as LazyBody)[HAS_BODY] ?? response.body !== null
}

/** What has to be there for a body to be read: the response, or only its stream. A stream that is lazy holds both. */
export function holdersOf(response: Response): (object | null)[] {
  return (response as LazyBody)[HAS_BODY] === undefined ? [response, response.body] : [response]
}
