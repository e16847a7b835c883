/** An index entry has at most 2,700 bytes, and there are two names in one. */
const LONGEST = 512

const encoder = new TextEncoder()

/**
 * How a text is written into the database: the printable characters of ASCII as they are, any other UTF-16 unit as
 * `%` and four hex digits. So every text can be kept in a database of any encoding (a NUL can be in none), texts that
 * differ stay different, and nothing in it can end a literal.
 */
export function written(text: string): string {
  return text.replaceAll(/[^ -$&(-[\]-~]/g, (unit) => `%${unit.charCodeAt(0).toString(16).padStart(4, '0')}`)
}

/** The same for what is indexed: a long one is named by its SHA-256, which no written text can look like. */
export function indexed(text: string): string | Promise<string> {
  const name = written(text)
  return name.length <= LONGEST ? name : hashed(name)
}

async function hashed(name: string): Promise<string> {
  const digest = await crypto.subtle.digest('SHA-256', encoder.encode(name))
  return `%sha256:${Buffer.from(digest).toString('hex')}`
}
