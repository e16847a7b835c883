import { isAbsolute } from 'node:path'
import { defineConfig, type RolldownOptions } from 'rolldown'

/**
 * The benchmarks are typed by the sources, so that types and lint need no build, and run on the package as users get
 * it: what they import from `src` comes from `dist`, by the package's name.
 */
const config: RolldownOptions = defineConfig({
  input: { main: './bench/main.ts', 'import-probe': './bench/import-probe.ts' },
  platform: 'node',
  external: (id) => !id.startsWith('.') && !isAbsolute(id),
  plugins: [
    {
      name: 'measure the built package',
      resolveId: (id) => (id.endsWith('/src/index.ts') ? { id: 'holdfast', external: true } : null),
    },
  ],
  output: { dir: '.cache/bench', format: 'esm', cleanDir: true },
})

export default config
