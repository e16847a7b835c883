/**
 * The URL, or `undefined` for what is none. Not by `URL.canParse`: on Node 20 that refuses `http://ä.test` as soon as its
 * caller has been compiled.
 */
export function parsedUrl(address: string, base?: string): URL | undefined {
  try {
    return new URL(address, base)
  } catch {
    return undefined
  }
}

/** Where a URL of http(s) leads; of anything else `undefined`. */
export const originOf = (text: string): string | undefined =>
  /^https?:/i.test(text) ? parsedUrl(text)?.origin : undefined
