import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { InputOptions, OutputOptions, RolldownOptions } from 'rolldown'
import { builtPackage, isInstalled } from '../support/built-package.ts'

const root = fileURLToPath(new URL('../..', import.meta.url))

export const config: InputOptions = {
  cwd: root,
  input: { main: './test/torture/main.ts', serve: './test/torture/server/serve.ts' },
  platform: 'node',
  external: isInstalled,
  plugins: [builtPackage()],
}

export const output: OutputOptions = {
  dir: join(root, '.cache/torture'),
  format: 'esm',
  cleanDir: true,
  chunkFileNames: '[name].js',
}

const options: RolldownOptions = { ...config, output }

export default options
