/** A list is cut at commas that stand in no quotes; a quote that is never closed takes the rest. */
const PREFERENCE = /(?:"(?:[^"\\]|\\.)*(?:"|$)|[^,"])+/g
const WAIT = /^\s*wait\s*(?:=\s*"?(\d{1,9})"?\s*)?(?:;|$)/i

/** Longer ones are nobody's: reading them costs more than they are worth. */
const LONGEST = 1000

/**
 * How many seconds a client is willing to wait: the `wait` preference of a Prefer header (RFC 7240, 4.3). `undefined`
 * where it states none, or one that is malformed; of several the first counts.
 */
export function preferredWaitSeconds(header: string | undefined): number | undefined {
  if (header === undefined || header.length > LONGEST) return undefined
  for (const [preference] of header.matchAll(PREFERENCE)) {
    const found = WAIT.exec(preference)
    if (found !== null) return found[1] === undefined ? undefined : Number(found[1])
  }
  return undefined
}
