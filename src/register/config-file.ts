import { existsSync, readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { extname, resolve } from 'node:path'
import type { RegisterConfig } from './config.ts'
import { RegisterError } from './register-error.ts'

const NAMES = ['js', 'mjs', 'cjs', 'ts', 'mts', 'json'].map((ending) => `holdfast.config.${ending}`)

export interface ConfigFile {
  readonly path: string
  readonly config: RegisterConfig
}

/**
 * What the file says that `HOLDFAST_CONFIG` names, or else the one in the working directory, if there is one.
 *
 * @throws {RegisterError} naming the file
 */
export function readConfigFile(folder: string, named: string | undefined): ConfigFile | undefined {
  // An empty variable counts as unset, as for all of them.
  const path = named === undefined || named === '' ? findConfigFile(folder) : resolve(folder, named)
  if (path === undefined) return undefined
  if (!existsSync(path)) throw new RegisterError(`HOLDFAST_CONFIG names ${path}, which does not exist`)
  const value = contentOf(path)
  if (!isObject(value))
    throw new RegisterError(
      `${path} should have an object of options (its default export), got ${show(value)}`,
    )
  return { path, config: value }
}

function findConfigFile(folder: string): string | undefined {
  const [found, ...others] = NAMES.map((name) => resolve(folder, name)).filter((path) => existsSync(path))
  if (others.length > 0)
    throw new RegisterError(`there are ${[found, ...others].join(' and ')}: keep one of them`)
  return found
}

/** Reads synchronously, with `require`: `fetch` must be replaced before the next module is evaluated. */
function contentOf(path: string): unknown {
  try {
    // Some editors begin a file with a byte order mark, which JSON.parse refuses.
    if (extname(path) === '.json') return JSON.parse(readFileSync(path, 'utf8').replace(/^\uFEFF/, ''))
    const loaded: unknown = createRequire(path)(path)
    return isModule(loaded) ? loaded.default : loaded
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause)
    throw new RegisterError(`${path} can't be read: ${reason}${remedyFor(path, cause)}`, { cause })
  }
}

/** A plain object or a module: anything else, such as a promise, would pass as an object without options. */
const isObject = (value: unknown): value is object =>
  /^\[object (?:Object|Module)\]$/.test(Object.prototype.toString.call(value))

const isModule = (value: unknown): value is { readonly default: unknown } =>
  typeof value === 'object' && value !== null && 'default' in value

function remedyFor(path: string, cause: unknown): string {
  const isTypeScript = /\.m?ts$/.test(path)
  const isOld = isTypeScript && !process.features.typescript
  if (isOld) return ' (Node reads TypeScript from 22.18 on; write it in JavaScript or JSON)'
  const isSyntax = cause instanceof SyntaxError && extname(path) === '.js'
  return isSyntax ? ' (call it holdfast.config.mjs, or .cjs, if it is of the other kind of module)' : ''
}

const show = (value: unknown): string => (Array.isArray(value) ? 'an array' : String(value))
