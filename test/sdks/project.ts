import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { root } from '../package/run.ts'

/** Where the packages of this folder are installed. */
export const modules: string = fileURLToPath(new URL('node_modules', import.meta.url))

export interface Project extends Disposable {
  readonly folder: string
}

/** A project that has installed this package as it is published, and others that lie where they are told to. */
export function projectWith(packages: Readonly<Record<string, string>>): Project {
  const folder = mkdtempSync(join(tmpdir(), 'holdfast-project-'))
  writeFileSync(join(folder, 'package.json'), JSON.stringify({ type: 'module' }))
  for (const [name, source] of Object.entries({ holdfast: root, ...packages })) {
    mkdirSync(dirname(join(folder, 'node_modules', name)), { recursive: true })
    symlinkSync(source, join(folder, 'node_modules', name))
  }
  return { folder, [Symbol.dispose]: () => rmSync(folder, { recursive: true, force: true }) }
}
