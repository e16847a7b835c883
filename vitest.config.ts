import { defineConfig, type ViteUserConfig } from 'vitest/config'

const config: ViteUserConfig = defineConfig({
  test: {
    testTimeout: 10_000,
    include: ['src/**/*.test.ts', 'test/**/*.test.ts'],
  },
})

export default config
