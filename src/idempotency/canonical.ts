import canonicalize from 'canonicalize'

const JSON_TYPE = /^\s*(?:application\/json|[^\s/;]+\/[^\s/;]+\+json)\s*(?:;\s*charset\s*=\s*"?utf-8"?\s*)?$/i
const STRING = /"(?:[^"\\]|\\.)*"/g
const NUMBER = /-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?/g
/** How deep may be nested what is compared as JSON: far from where a stack ends, which is not the same for each call. */
const DEEPEST = 256
/** A mark is kept out of the way, so that a byte order mark is what JSON says it is: an error. */
const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

/**
 * A JSON body as RFC 8785 (JCS) writes it: the same for every order of members and all white space. `undefined` for
 * what is no JSON, and for JSON that its reader may lose something of: repeated members, numbers that a double does
 * not hold exactly, halves of a surrogate pair; and for what is nested too deeply. Two of those are compared byte by
 * byte instead.
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
    if (members !== membersOf(value, DEEPEST) || !numbers.every(isExact)) return undefined
    // It throws for half a surrogate pair.
    return canonicalize(value)
  } catch {
    return undefined
  }
}

/** How many members are left when the last of each name has won; no number for what has more than `levels`. */
function membersOf(value: unknown, levels: number): number {
  if (typeof value !== 'object' || value === null) return 0
  if (levels === 0) return Number.NaN
  const values: unknown[] = Object.values(value)
  const own = Array.isArray(value) ? 0 : values.length
  return values.reduce((sum: number, each) => sum + membersOf(each, levels - 1), own)
}

function isExact(literal: string): boolean {
  const read = String(Number(literal))
  return literal === read || decimal(literal) === decimal(read)
}

/** One spelling for each number: its digits without zeros at either end, and where the last one stands. */
function decimal(literal: string): string {
  const [, sign = '', whole = '', fraction = '', exponent = '0'] =
    /^(-?)(\d+)(?:\.(\d+))?(?:[eE]([+-]?\d+))?$/.exec(literal) ?? []
  if (whole === '') return literal
  const digits = `${whole}${fraction}`
  let begin = 0
  let end = digits.length
  while (digits[begin] === '0') begin++
  // No expression: it would look from each zero inside to the end of them, for minutes where there are a million.
  while (end > begin && digits[end - 1] === '0') end--
  if (begin === end) return '0'
  return `${sign}${digits.slice(begin, end)}e${Number(exponent) - fraction.length + digits.length - end}`
}
