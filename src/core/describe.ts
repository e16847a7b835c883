/** What a tree shows of a policy. */
export interface Described {
  readonly name: string
  readonly settings?: Readonly<Record<string, unknown>>
}

/**
 * A pipeline as a tree, outermost first.
 *
 * @example
 * retry  maxRetries 4 · baseDelayMs 1000
 * └─ circuit-breaker  windowMs 30000 · failureRate 0.5
 */
export function describePolicies(policies: readonly Described[]): string {
  return policies
    .map((policy, depth) => (depth === 0 ? line(policy) : `${'   '.repeat(depth - 1)}└─ ${line(policy)}`))
    .join('\n')
}

function line({ name, settings = {} }: Described): string {
  const given = Object.entries(settings).filter(([, value]) => value !== undefined && value !== false)
  return [name, given.map(([key, value]) => `${key} ${shown(value)}`).join(' · ')].join('  ').trimEnd()
}

/** Short, and without what may be secret: of an object its keys, of a function that there is one. */
function shown(value: unknown): string {
  if (typeof value === 'function') return 'custom'
  if (value instanceof Set || Array.isArray(value))
    return [...(value as Iterable<unknown>)].map(String).join(', ') || 'none'
  if (typeof value !== 'object' || value === null) return String(value)
  return `{ ${Object.entries(value)
    .map(([key, inner]) => `${key} ${shown(inner)}`)
    .join(', ')} }`
}

const INSPECT = Symbol.for('nodejs.util.inspect.custom')

/** Lets `console.log` show what `text` says; Node and Bun ask for it by this symbol, nobody else sees it. */
export function showAs<T extends object>(target: T, text: () => string): T {
  return Object.defineProperty(target, INSPECT, { value: text })
}
