import { readFileSync } from 'node:fs'
import { isAbsolute } from 'node:path'
import { defineConfig, type RolldownOptions } from 'rolldown'

const { exports: published } = JSON.parse(readFileSync('package.json', 'utf8')) as {
  exports: Record<string, { default: string } | string>
}

/** Every entry of the package: its name, and the source that it is built from. */
const entries = Object.entries(published).flatMap(([path, target]) =>
  typeof target === 'string'
    ? []
    : [[`holdfast${path.slice(1)}`, sourceOf(target.default)] as [name: string, source: string]],
)

function sourceOf(built: string): string {
  return built.replace('./dist/', '/src/').replace(/\.js$/, '.ts')
}

/**
 * The benchmarks are typed by the sources, so that types and lint need no build, and run on the package as users get
 * it: what they import from `src` comes from `dist`, by the package's name.
 */
const config: RolldownOptions = defineConfig({
  input: {
    main: './bench/main.ts',
    'import-probe': './bench/import-probe.ts',
    'call-probe': './bench/call-probe.ts',
    'loopback-probe': './bench/loopback-probe.ts',
    'server-probe': './bench/server-probe.ts',
    'circuits-probe': './bench/circuits-probe.ts',
    'conform-published': './test/conform/published/main.ts',
  },
  platform: 'node',
  external: (id) => !id.startsWith('.') && !isAbsolute(id),
  plugins: [
    {
      name: 'measure the built package',
      resolveId(id) {
        const entry = entries.find(([, source]) => id.endsWith(source))
        return entry === undefined ? null : { id: entry[0], external: true }
      },
    },
  ],
  output: { dir: '.cache/bench', format: 'esm', cleanDir: true },
})

export default config
