import { readdirSync, readFileSync } from 'node:fs'
import { basename, join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { root } from './run.ts'

interface Locked {
  readonly resolved?: string
  readonly integrity?: string
  readonly dev?: boolean
  readonly optional?: boolean
  readonly hasInstallScript?: boolean
}

function lockedBy(file: string): [path: string, Locked][] {
  const lock = JSON.parse(readFileSync(join(root, file), 'utf8')) as { packages: Record<string, Locked> }
  return Object.entries(lock.packages).filter(([path]) => path !== '')
}
const manifest = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as {
  version: string
  engines: { node: string }
  dependencies: Record<string, string>
  peerDependencies: Record<string, string>
  peerDependenciesMeta: Record<string, { optional?: boolean }>
}

const lockFiles = filesIn('').filter((file) => basename(file) === 'package-lock.json')

describe.each(lockFiles)('%s', (file) => {
  const locked = lockedBy(file)

  test('names no registry, so that it works with any', () => {
    expect(locked.filter(([, entry]) => entry.resolved !== undefined).map(([path]) => path)).toEqual([])
  })

  test('knows the content of every package', () => {
    expect(locked.filter(([, entry]) => !entry.integrity).map(([path]) => path)).toEqual([])
  })
})

test('there is a lock file for the package', () => {
  expect(lockFiles).toContain('package-lock.json')
})

test('nothing runs when a user installs it', () => {
  const scripts = lockedBy('package-lock.json').filter(([, entry]) => entry.hasInstallScript && !entry.dev)
  expect(scripts.map(([path]) => path)).toEqual([])
})

describe('the manifest', () => {
  test('lets any version of an optional peer in that could work', () => {
    for (const [name, range] of Object.entries(manifest.peerDependencies)) {
      expect(range, name).toMatch(/^>=/)
      expect(manifest.peerDependenciesMeta[name]?.optional, name).toBe(true)
    }
  })

  test('speaks of the version that the changelog describes', () => {
    expect(readFileSync(join(root, 'CHANGELOG.md'), 'utf8')).toContain(`## ${manifest.version}`)
  })
})

test('no file of the repository is bound to one machine or registry', () => {
  const files = filesIn('').filter((file) => file !== 'test/package/manifest.test.ts')
  expect(files.length).toBeGreaterThan(100)
  const bound = /registry\.npmjs|\/home\/\w|\/Users\/\w|\/root\/|\/work\//
  expect(files.filter((file) => bound.test(readFileSync(join(root, file), 'utf8')))).toEqual([])
})

function filesIn(folder: string): string[] {
  const skipped = new Set(['.git', '.cache', 'coverage', 'dist', 'node_modules'])
  return readdirSync(join(root, folder), { withFileTypes: true })
    .filter(({ name }) => !skipped.has(name))
    .flatMap((entry) => {
      const path = folder === '' ? entry.name : `${folder}/${entry.name}`
      return entry.isDirectory() ? filesIn(path) : path
    })
}
