import { readFileSync } from 'node:fs'
import { dirname, isAbsolute, join, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { InputOptions, OutputOptions, RolldownOptions } from 'rolldown'

const root = fileURLToPath(new URL('../..', import.meta.url))

/** Which entry of the package stands for which source file. */
function entries(): Map<string, string> {
  const { exports } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as {
    exports: Record<string, { default?: string } | string>
  }
  const found = new Map<string, string>()
  for (const [name, target] of Object.entries(exports)) {
    if (typeof target === 'string' || target.default === undefined) continue
    const source = target.default.replace(/^\.\/dist\//, 'src/').replace(/\.js$/, '.ts')
    found.set(join(root, source), name.replace(/^\./, 'holdfast'))
  }
  return found
}

const packaged = entries()

/**
 * The torture is typed by the sources, so that types and lint need no build, and runs on the package as users get it:
 * what it imports of the package's entries comes from `dist`, by the package's names.
 */
export const config: InputOptions = {
  cwd: root,
  input: { main: './test/torture/main.ts', serve: './test/torture/server/serve.ts' },
  platform: 'node',
  external: (id) => !id.startsWith('.') && !isAbsolute(id),
  plugins: [
    {
      name: 'torture the built package',
      resolveId(id, importer) {
        if (!id.startsWith('.') || importer === undefined) return null
        const name = packaged.get(resolve(dirname(importer), id))
        return name === undefined ? null : { id: name, external: true }
      },
    },
  ],
}

export const output: OutputOptions = {
  dir: join(root, '.cache/torture'),
  format: 'esm',
  cleanDir: true,
  chunkFileNames: '[name].js',
}

const options: RolldownOptions = { ...config, output }

export default options
