import { defineConfig, type ViteUserConfig } from 'vitest/config'
import { sourceAliases } from './test/support/source-aliases.ts'

const tests = ['src/**/*.test.ts', 'test/**/*.test.ts', 'bench/**/*.test.ts']
/** Needs packages that no clone has from the start: `npm run sdks`. */
const apart = ['test/sdks/**']
const built = ['src/**/*.built.test.ts', 'test/**/*.built.test.ts']
/** Takes most of a core for long, and shows no more on a second Node: `npm run test:torture`. */
const torture = ['test/torture/torture.built.test.ts']

const config: ViteUserConfig = defineConfig({
  // Without Vite's own `development`: packages as they are in production, whose builds for it check what they do.
  ssr: { resolve: { conditions: ['node'] } },
  test: {
    testTimeout: 10_000,
    // Vitest leaves a core unused; and a good part of the tests waits, for sockets, processes, databases.
    maxWorkers: 3,
    projects: [
      {
        extends: true,
        test: {
          name: 'source',
          include: tests,
          exclude: [...built, ...apart],
          // Loading the modules again for each file takes longer than most files do.
          isolate: false,
        },
      },
      {
        extends: true,
        // They import the package by its name, as its users do.
        resolve: { alias: sourceAliases() },
        test: { name: 'examples', include: ['examples/**/*.test.ts'] },
      },
      {
        extends: true,
        // What needs the package as users get it. It is built once, and only when one of these tests runs.
        test: {
          name: 'built',
          include: built,
          exclude: [...torture, ...apart],
          globalSetup: './test/package/build.setup.ts',
          testTimeout: 60_000,
          maxConcurrency: 2,
        },
      },
      {
        extends: true,
        // The client's tests once more, over the fast transport in the place of Node's fetch.
        test: {
          name: 'transport',
          include: ['test/client/**/*.test.ts'],
          exclude: built,
          isolate: false,
          setupFiles: './test/transport/fast-global.setup.ts',
        },
      },
      {
        extends: true,
        test: {
          name: 'torture',
          include: torture,
          globalSetup: './test/package/build.setup.ts',
          testTimeout: 60_000,
        },
      },
    ],
  },
})

export default config
