/**
 * `npm run mutation [-- FILE...]`: changes the code bit by bit, and tells which changes no test notices; without files,
 * in all that docs/mutation-testing.md lists. Stryker is installed by hand: it brings 144 packages.
 */
import { spawnSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

const root = fileURLToPath(new URL('..', import.meta.url))
const stryker = 'node_modules/@stryker-mutator/core/bin/stryker.js'
const files = process.argv.slice(2)

if (!existsSync(`${root}/${stryker}`)) {
  console.error(
    'Stryker is missing: npm i --no-save @stryker-mutator/core@9 @stryker-mutator/vitest-runner@9',
  )
  process.exit(1)
}
const mutate = files.length === 0 ? [] : ['--mutate', files.join(',')]
const { status } = spawnSync(process.execPath, [stryker, 'run', 'scripts/mutation.stryker.json', ...mutate], {
  cwd: root,
  stdio: 'inherit',
  // Stryker runs tests in threads, which cannot change the time zone; in UTC a date without one is right by chance.
  env: { ...process.env, TZ: 'Asia/Tokyo' },
})
process.exit(status ?? 1)
