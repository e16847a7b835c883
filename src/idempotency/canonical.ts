import canonicalize from 'canonicalize'

const JSON_TYPE = /^\s*(?:application\/json|[^\s/;]+\/[^\s/;]+\+json)\s*(?:;\s*charset\s*=\s*"?utf-8"?\s*)?$/i
const STRING = /"(?:[^"\\]|\\.)*"/g
const NUMBER = /-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?/g
/** A mark is kept out of the way, so that a byte order mark is what JSON says it is: an error. */
const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

/**
 * A JSON body as RFC 8785 (JCS) writes it: the same for every order of members and all white space. `undefined` for
 * what is no JSON, and for JSON that its reader may lose something of: repeated members, numbers that a double does
 * not hold exactly, halves of a surrogate pair. Two of those are compared byte by byte instead.
 */
export function canonicalJson(body: Uint8Array, contentType: string | undefined): string | undefined {
  if (contentType === undefined || !JSON_TYPE.test(contentType)) return undefined
  try {
    const text = decoder.decode(body)
    const value: unknown = JSON.parse(text)
    const strings: string[] = []
    const rest = text.replaceAll(STRING, (string) => `"${strings.push(string)}"`)
    const members = rest.match(/:/g)?.length ?? 0
    const numbers = rest.replaceAll(STRING, '').match(NUMBER) ?? []
    if (members !== membersOf(value) || !numbers.every(isExact)) return undefined
    // It throws for half a surrogate pair.
    return canonicalize(value)
  } catch {
    return undefined
  }
}

/** How many members are left when the last of each name has won. */
function membersOf(value: unknown): number {
  if (typeof value !== 'object' || value === null) return 0
  const values: unknown[] = Object.values(value)
  const own = Array.isArray(value) ? 0 : values.length
  return values.reduce((sum: number, each) => sum + membersOf(each), own)
}

function isExact(literal: string): boolean {
  return decimal(literal) === decimal(String(Number(literal)))
}

/** One spelling for each number: its digits without zeros at either end, and where the last one stands. */
function decimal(literal: string): string {
  const [, sign = '', whole = '', fraction = '', exponent = '0'] =
    /^(-?)(\d+)(?:\.(\d+))?(?:[eE]([+-]?\d+))?$/.exec(literal) ?? []
  if (whole === '') return literal
  const digits = `${whole}${fraction}`.replace(/^0+/, '')
  const significant = digits.replace(/0+$/, '')
  if (significant === '') return '0'
  return `${sign}${significant}e${Number(exponent) - fraction.length + digits.length - significant.length}`
}
