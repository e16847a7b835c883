/** The defaults, each replaced by what `options` gives for it; `undefined` means "not given". */
export function withDefaults<T extends object>(defaults: T, options: Partial<T>): T {
  const merged = { ...defaults }
  for (const key of Object.keys(defaults) as (keyof T)[]) {
    const given = options[key]
    if (given !== undefined) merged[key] = given
  }
  return merged
}
