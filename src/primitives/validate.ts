import { HoldfastError } from './errors.ts'

/** Shows a value in an error message: short, on one line, and unmistakable about its type. */
function show(value: unknown): string {
  if (typeof value === 'string') return JSON.stringify(value)
  if (typeof value === 'function') return 'a function'
  if (typeof value === 'object' && value !== null) {
    return Array.isArray(value)
      ? `an array of ${value.length}`
      : `an object with ${Object.keys(value).join(', ') || 'no keys'}`
  }
  return String(value)
}

export function invalidOption(name: string, expected: string, got: unknown): HoldfastError {
  return new HoldfastError('ERR_INVALID_OPTION', `${name} should be ${expected}, got ${show(got)}`)
}

/** What an option must be: throws for a value, which it calls by `name`, that is something else. */
export type Rule = (name: string, value: unknown) => void

/** The rule that a value passes a test, whatever it is expected to be. */
export function rule(expected: string, passes: (value: unknown) => boolean): Rule {
  return (name, value) => {
    if (!passes(value)) throw invalidOption(name, expected, value)
  }
}

/** A finite number of at least `minimum`. */
export function checkNumber(name: string, value: unknown, minimum = 0): void {
  if (!Number.isFinite(value) || Number(value) < minimum)
    throw invalidOption(name, `a number >= ${minimum}`, value)
}

/** A finite number above zero. */
export const checkPositive: Rule = rule(
  'a number > 0',
  (value) => Number.isFinite(value) && Number(value) > 0,
)

export function checkInteger(name: string, value: unknown, minimum = 0): void {
  if (!Number.isInteger(value) || Number(value) < minimum)
    throw invalidOption(name, `an integer >= ${minimum}`, value)
}

/** Of which there must be one at least. */
export const checkCount: Rule = (name, value) => checkInteger(name, value, 1)

/** A share of a whole, zero excluded. */
export const checkFraction: Rule = rule(
  'in (0, 1]',
  (value) => Number.isFinite(value) && Number(value) > 0 && Number(value) <= 1,
)

export const oneOf = (...allowed: readonly unknown[]): Rule =>
  rule(`one of ${allowed.map(show).join(', ')}`, (value) => allowed.includes(value))

export function checkOneOf(name: string, value: unknown, allowed: readonly unknown[]): void {
  oneOf(...allowed)(name, value)
}

export const checkFunction: Rule = rule('a function', (value) => typeof value === 'function')

export function checkObject(name: string, value: unknown): asserts value is object {
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    throw invalidOption(name, 'an object', value)
}

/** An object of somebody else's making, by the methods that are called. */
export function checkMethods(
  name: string,
  expected: string,
  value: unknown,
  methods: readonly string[],
): void {
  const members = value as Readonly<Record<string, unknown>> | null | undefined
  if (methods.some((method) => typeof members?.[method] !== 'function'))
    throw invalidOption(name, `${expected}, with ${methods.join(' and ')}`, value)
}

/** Refuses what is no object and what has a key nobody reads: a misspelt option is a silent default. */
export function checkKeys(name: string, options: unknown, known: readonly string[]): void {
  checkObject(name, options)
  const unknown = Object.keys(options).find((key) => !known.includes(key))
  if (unknown !== undefined) {
    throw new HoldfastError(
      'ERR_INVALID_OPTION',
      `${name} has no option "${unknown}"; it has ${known.join(', ')}`,
    )
  }
}

/** The options that there are, and what each must be. */
export type Rules<O = Readonly<Record<string, unknown>>> = { readonly [K in keyof O]-?: Rule }

/** Refuses what is no object, a key that nobody reads, and a value against its rule; `undefined` is none. */
export function checkOptions(
  name: string,
  options: unknown,
  rules: Rules,
  prefix: string = `${name}.`,
): void {
  checkKeys(name, options, Object.keys(rules))
  for (const [key, check] of Object.entries<Rule>(rules)) {
    const value: unknown = Reflect.get(options as object, key)
    if (value !== undefined) check(prefix + key, value)
  }
}

/** For what can be switched off. */
export const orFalse =
  (check: Rule): Rule =>
  (name, value) => {
    if (value !== false) check(name, value)
  }

/** For what is checked elsewhere, or by its type only. */
export const unchecked: Rule = () => {}
