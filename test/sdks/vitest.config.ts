import { fileURLToPath } from 'node:url'
import { defineConfig, type ViteUserConfig } from 'vitest/config'

const source = (path: string): string => fileURLToPath(new URL(`../../src/${path}`, import.meta.url))

/** What `npm run sdks` runs. The cases import the package by its name, as its users do. */
const config: ViteUserConfig = defineConfig({
  root: fileURLToPath(new URL('.', import.meta.url)),
  resolve: {
    alias: [
      { find: /^holdfast$/, replacement: source('index.ts') },
      { find: /^holdfast\/testing$/, replacement: source('testing/index.ts') },
    ],
  },
  test: { name: 'sdks', include: ['*.test.ts'], globalSetup: './installed.setup.ts', testTimeout: 30_000 },
})

export default config
