/**
 * `npm run sdks`: puts SDKs over the package and runs them against stand-ins for their APIs. They are too heavy for every
 * clone: they are installed into test/sdks when they are missing or not those of its lock file.
 */
import { execFileSync } from 'node:child_process'
import { copyFileSync, existsSync, readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

const root = fileURLToPath(new URL('..', import.meta.url))
const folder = `${root}test/sdks`
const lock = `${folder}/package-lock.json`
const installed = `${folder}/node_modules/installed-lock.json`

/**
 * @param {string} command
 * @param {string[]} args
 * @param {string} cwd
 */
function run(command, args, cwd = root) {
  try {
    execFileSync(command, args, { cwd, stdio: 'inherit' })
  } catch {
    console.error(`sdks: this failed: ${[command, ...args].join(' ')}`)
    process.exit(1)
  }
}

const isInstalled = existsSync(installed) && readFileSync(installed, 'utf8') === readFileSync(lock, 'utf8')
if (!isInstalled) {
  console.log('sdks: installing what test/sdks/package-lock.json names, about 150 MB')
  // Some want a newer Node than the oldest that this package supports, and run on it all the same.
  run('npm', ['ci', '--no-audit', '--no-fund', '--loglevel', 'error'], folder)
  copyFileSync(lock, installed)
}
run(process.execPath, [`${root}node_modules/typescript/bin/tsc`, '-p', folder])
const vitest = `${root}node_modules/vitest/vitest.mjs`
run(process.execPath, [vitest, 'run', '--config', `${folder}/vitest.config.ts`, ...process.argv.slice(2)])
