/** In characters. An index entry has at most 2,700 bytes, and holds two of these texts. */
const MAX_INDEXED = 512

const encoder = new TextEncoder()

/**
 * A text as it is stored: printable ASCII as it is, but for `%`, `'` and `\`; any other UTF-16 unit as `%` and four hex
 * digits. So a database of any encoding holds every text (none holds a NUL), different texts stay different, and
 * nothing in them can end a literal.
 */
export function escaped(text: string): string {
  return text.replaceAll(/[^ -$&(-[\]-~]/g, (unit) => `%${unit.charCodeAt(0).toString(16).padStart(4, '0')}`)
}

/** As `escaped`, for an indexed column: a long text is replaced by its SHA-256, in a form that no escaped text has. */
export function indexable(text: string): string | Promise<string> {
  const name = escaped(text)
  return name.length <= MAX_INDEXED ? name : hashed(name)
}

async function hashed(name: string): Promise<string> {
  const digest = await crypto.subtle.digest('SHA-256', encoder.encode(name))
  return `%sha256:${Buffer.from(digest).toString('hex')}`
}
