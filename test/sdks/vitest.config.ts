import { fileURLToPath } from 'node:url'
import { defineConfig, type ViteUserConfig } from 'vitest/config'
import { sourceAliases } from '../support/source-aliases.ts'

/** What `npm run sdks` runs. The cases import the package by its name, as its users do. */
const config: ViteUserConfig = defineConfig({
  root: fileURLToPath(new URL('.', import.meta.url)),
  resolve: { alias: sourceAliases() },
  test: {
    name: 'sdks',
    include: ['*.test.ts', '../adapters/undici/*.test.ts'],
    globalSetup: './installed.setup.ts',
    testTimeout: 30_000,
  },
})

export default config
