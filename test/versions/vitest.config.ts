import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { fileURLToPath } from 'node:url'
import { defineConfig, type TestProjectInlineConfiguration, type ViteUserConfig } from 'vitest/config'

/** What `npm run versions` runs: what a set has installed stands in the place of what every clone has. */
const config: ViteUserConfig = defineConfig({
  root: fileURLToPath(new URL('../..', import.meta.url)),
  ssr: { resolve: { conditions: ['node'] } },
  test: { projects: ['earlier', 'later'].map(overVersions) },
})

function overVersions(set: string): TestProjectInlineConfiguration {
  const folder = new URL(`${set}/package.json`, import.meta.url)
  const { dependencies } = JSON.parse(readFileSync(folder, 'utf8')) as { dependencies: object }
  const { resolve } = createRequire(folder)
  return {
    extends: true,
    resolve: {
      alias: Object.keys(dependencies).map((name) => ({
        find: new RegExp(`^${name}$`),
        replacement: resolve(name),
      })),
    },
    test: {
      name: set,
      include: [
        'test/conformance/frameworks.test.ts',
        'test/frameworks/{early-departure,fastify,http2,koa,nest,twice}.test.ts',
        'test/stores/{outages,random-orders,redis*,waiting}.test.ts',
      ],
      testTimeout: 10_000,
      isolate: false,
    },
  }
}

export default config
