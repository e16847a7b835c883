import { HoldfastError } from '../primitives/errors.ts'

interface Runtime {
  readonly process?: {
    getBuiltinModule?(name: string): { createRequire(from: string): (name: string) => unknown } | undefined
  }
}

/**
 * An optional library, loaded when it is needed first: whoever has not installed it may still import this package.
 *
 * @param option by which a bundled application passes what it has imported itself
 * @throws {HoldfastError} ERR_INVALID_OPTION saying how to get it
 */
export function loadPeer(entry: string, name: string, option: string): unknown {
  const { process } = globalThis as Runtime
  const load = process?.getBuiltinModule?.('node:module')?.createRequire(import.meta.url)
  if (load === undefined) {
    const message = `${entry} can't load ${name} by itself here: import it and pass it as ${option}`
    throw new HoldfastError('ERR_INVALID_OPTION', message)
  }
  try {
    return load(name)
  } catch (cause) {
    throw new HoldfastError('ERR_INVALID_OPTION', `${entry} needs ${name}: npm i ${name}`, { cause })
  }
}
