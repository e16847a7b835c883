import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { RolldownOptions } from 'rolldown'
import { builtPackage, isInstalled } from '../support/built-package.ts'

const cwd = fileURLToPath(new URL('../..', import.meta.url))
const dir = join(cwd, '.cache/runtimes-app')

/** The command, and what runs in a process: both import the package by its name. */
const processes: RolldownOptions = {
  cwd,
  input: {
    main: './test/runtimes/main.ts',
    process: './test/runtimes/entries/process.ts',
    server: './test/runtimes/entries/server.ts',
  },
  platform: 'node',
  external: isInstalled,
  plugins: [builtPackage()],
  output: { dir, format: 'esm', cleanDir: true, chunkFileNames: '[name].js' },
}

/** Each a single file, with all that it needs. */
const alone = (name: string): RolldownOptions => ({
  cwd,
  input: { [name]: `./test/runtimes/entries/${name}.ts` },
  platform: 'browser',
  plugins: [builtPackage('bundled')],
  output: { dir, format: 'esm', codeSplitting: false },
})

const options: RolldownOptions[] = [processes, alone('worker'), alone('page')]

export default options
