interface Runtime {
  readonly process?: { emitWarning?(message: string, options: { type: string; code: string }): void }
}

const warned = new WeakMap<object, Set<string>>()

/**
 * For whoever reads the log and can do something about it: the answer tells the client only. Once for each `owner`, and
 * only where there is a `process`.
 */
export function warnOnce(owner: object, code: string, message: string): void {
  const known = warned.get(owner) ?? new Set()
  if (known.has(code)) return
  warned.set(owner, known.add(code))
  const runtime: Runtime = globalThis
  runtime.process?.emitWarning?.(message, { type: 'HoldfastWarning', code })
}
