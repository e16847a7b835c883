import { readFileSync } from 'node:fs'
import { dirname, isAbsolute, join, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { Plugin } from 'rolldown'

const root = fileURLToPath(new URL('../..', import.meta.url))

interface Entry {
  /** As users import it. */
  readonly name: string
  readonly file: string
}

/** Which entry of the package stands for which source file. */
function entries(): Map<string, Entry> {
  const { exports } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as {
    exports: Record<string, { default?: string } | string>
  }
  const found = new Map<string, Entry>()
  for (const [name, target] of Object.entries(exports)) {
    if (typeof target === 'string' || target.default === undefined) continue
    const source = target.default.replace(/^\.\/dist\//, 'src/').replace(/\.js$/, '.ts')
    found.set(join(root, source), { name: name.replace(/^\./, 'holdfast'), file: join(root, target.default) })
  }
  return found
}

/**
 * For programs that are typed by the sources, so that types and lint need no build, and run on the package as users get
 * it: what they import of its entries comes from `dist`, by the package's names or bundled.
 */
export function builtPackage(how: 'by name' | 'bundled' = 'by name'): Plugin {
  const packaged = entries()
  return {
    name: 'the built package',
    resolveId(id, importer) {
      if (!id.startsWith('.') || importer === undefined) return null
      const entry = packaged.get(resolve(dirname(importer), id))
      if (entry === undefined) return null
      return how === 'by name' ? { id: entry.name, external: true } : { id: entry.file }
    },
  }
}

/** Whatever is installed stays outside of a bundle. */
export const isInstalled = (id: string): boolean => !id.startsWith('.') && !isAbsolute(id)
