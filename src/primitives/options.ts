/**
 * Options with a value for each of them: what a user gives, with the defaults in place. In options `undefined` means "not
 * given", and their types say so, for those who compile with `exactOptionalPropertyTypes`.
 */
export type Complete<T> = { [K in keyof T]-?: Exclude<T[K], undefined> }

/** The defaults, each replaced by what `options` gives for it; `undefined` means "not given". */
export function withDefaults<T extends object>(
  defaults: T,
  options: { readonly [K in keyof T]?: T[K] | undefined },
): T {
  const merged = { ...defaults }
  for (const key of Object.keys(defaults) as (keyof T)[]) {
    const given = options[key]
    if (given !== undefined) merged[key] = given
  }
  return merged
}
