import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { checkExports } from '../../scripts/check-exports.mjs'

/** A package that is in order; each test breaks one thing. */
const sound = {
  exports: { '.': { types: './dist/index.d.ts', default: './dist/index.js' } },
  bin: { tool: './dist/cli.js' },
  dependencies: { commander: '1' },
}
const soundFiles = {
  'dist/index.js': `export { a } from './a.js'`,
  'dist/index.d.ts': `export { a } from './a.ts'\nexport type { B } from './b.ts'`,
  'dist/a.js': 'export const a = 1',
  'dist/a.d.ts': 'export declare const a: number',
  'dist/b.js': 'export {}',
  'dist/b.d.ts': 'export interface B { b: string }',
  'dist/cli.js': `#!/usr/bin/env node\nimport 'commander'\nnew URL('./worker.js', import.meta.url)`,
  'dist/worker.js': `import 'node:fs'\nnew URL(\`./child\${extname(import.meta.url)}\`, import.meta.url)`,
  'dist/worker.d.ts': `import type { Shape } from './shape.ts'\nexport declare const shape: Shape`,
  'dist/shape.js': 'export {}',
  'dist/shape.d.ts': 'export interface Shape { sides: number }',
  'dist/child.js': '',
}

let root = ''
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'holdfast-exports-'))
})
afterEach(() => rmSync(root, { recursive: true, force: true }))

function problemsOf(manifest: object, files: Record<string, string>, executable = true): string[] {
  for (const [path, content] of Object.entries({ ...files, 'package.json': JSON.stringify(manifest) })) {
    mkdirSync(dirname(join(root, path)), { recursive: true })
    writeFileSync(join(root, path), content)
  }
  if (executable && 'dist/cli.js' in files) chmodSync(join(root, 'dist/cli.js'), 0o755)
  return checkExports(root)
}

function without(path: keyof typeof soundFiles): Record<string, string> {
  return Object.fromEntries(Object.entries(soundFiles).filter(([name]) => name !== path))
}

describe('exports, bin and dist', () => {
  test('agree in a sound package', () => {
    expect(problemsOf(sound, soundFiles)).toEqual([])
  })

  test('an entry without its file is named', () => {
    expect(problemsOf(sound, without('dist/index.js'))).toContain(
      'exports["."] points at ./dist/index.js, which does not exist',
    )
  })

  test('an entry without its types is named', () => {
    expect(problemsOf(sound, without('dist/index.d.ts'))).toContain(
      'exports["."] points at ./dist/index.d.ts, which does not exist',
    )
    expect(problemsOf({ ...sound, exports: { '.': './dist/index.js' } }, soundFiles)).toContain(
      'exports["."] has no "types" condition',
    )
    const swapped = { default: './dist/index.js', types: './dist/index.d.ts' }
    expect(problemsOf({ ...sound, exports: { '.': swapped } }, soundFiles)).toEqual([
      'exports["."] should name "types" first',
    ])
  })

  test('a file that no entry reaches is named', () => {
    expect(problemsOf(sound, { ...soundFiles, 'dist/left/over.js': '' })).toEqual([
      'dist/left/over is reached by no entry of exports or bin',
    ])
  })

  test('a file that is imported but missing is named', () => {
    expect(problemsOf(sound, without('dist/worker.js'))).toContain(
      'dist/cli.js refers to "./worker.js", which is not in dist',
    )
  })

  test('a file that is named by its own extension but missing is named', () => {
    expect(problemsOf(sound, without('dist/child.js'))).toEqual([
      'dist/worker.js refers to "./child.js", which is not in dist',
    ])
  })

  test('a package that is imported but not declared is named', () => {
    expect(problemsOf({ ...sound, dependencies: {} }, soundFiles)).toEqual([
      'dist/cli.js imports "commander", which package.json does not declare',
    ])
  })

  test('a bin has a shebang and may be executed', () => {
    expect(problemsOf(sound, soundFiles, false)).toEqual(['bin.tool is not executable'])
    const bare = { ...soundFiles, 'dist/cli.js': `import './worker.js'` }
    expect(problemsOf(sound, bare)).toEqual(['bin.tool has no shebang'])
  })
})
