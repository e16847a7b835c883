import { invalidOption } from '../../validate.ts'

/** Method names as sets of capitals: the wire is case-sensitive, options need not be. */
export function upperCase(methods: readonly string[]): ReadonlySet<string> {
  return new Set(methods.map((method) => method.toUpperCase()))
}

export function checkMethods(name: string, methods: unknown): void {
  if (!Array.isArray(methods) || methods.some((method) => typeof method !== 'string')) {
    throw invalidOption(name, 'an array of method names', methods)
  }
}
