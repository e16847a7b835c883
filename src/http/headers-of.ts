type AnyHeaders = Partial<Headers> | null | undefined

/** The headers of a response: the mock of a test may have none, or a plain object of them. */
export function headersOf({ headers }: Response): Headers {
  const given: AnyHeaders = headers
  return typeof given?.get === 'function' ? headers : new Headers(headers ?? {})
}
