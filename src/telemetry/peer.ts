import { HoldfastError } from '../primitives/errors.ts'

interface Runtime {
  readonly process?: {
    getBuiltinModule?(name: string): { createRequire(from: string): (name: string) => unknown } | undefined
  }
}

/**
 * Loads an optional peer dependency when it is first needed, so that the entry can be imported without it.
 *
 * @param entry - this package's entry, for messages
 * @param option - the option by which a bundled application passes the module instead
 * @throws {HoldfastError} `ERR_INVALID_OPTION` where it can't be loaded, with the remedy
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
