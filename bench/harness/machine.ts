import { execFileSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { availableParallelism, cpus, totalmem } from 'node:os'
import { dirname, join } from 'node:path'

/** Where figures come from: without it they mean nothing. */
export interface Machine {
  readonly node: string
  readonly platform: string
  readonly cpu: string
  readonly cores: number
  readonly memoryGiB: number
  /** The commit of Holdfast, with `+` where the working tree differed from it. */
  readonly commit: string
  /** Of Holdfast and of every library beside it. */
  readonly versions: Readonly<Record<string, string>>
}

/** The folder with the package.json. */
export const root: string = dirname(createRequire(import.meta.url).resolve('holdfast/package.json'))

/** @param libraries Names of packages; ` + ` joins those that are used together. */
export function thisMachine(libraries: readonly string[]): Machine {
  const packages = [...new Set(['holdfast', ...libraries.flatMap((name) => name.split(' + '))])]
  return {
    node: process.version,
    platform: `${process.platform} ${process.arch}`,
    cpu: cpus()[0]?.model.trim() ?? 'unknown',
    cores: availableParallelism(),
    memoryGiB: Math.round(totalmem() / 2 ** 30),
    commit: commit(),
    versions: Object.fromEntries(packages.map((name) => [name, versionOf(name)])),
  }
}

function versionOf(library: string): string {
  const folder = library === 'holdfast' ? root : join(root, 'node_modules', library)
  return (JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8')) as { version: string }).version
}

function commit(): string {
  const git = (...args: string[]): string =>
    execFileSync('git', args, { cwd: root, encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] }).trim()
  try {
    return git('rev-parse', '--short', 'HEAD') + (git('status', '--porcelain', '--', 'src') === '' ? '' : '+')
  } catch {
    return 'unknown'
  }
}
