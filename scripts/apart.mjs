/** Tests with packages that are too heavy for every clone, or that no clone can have twice. */
import { execFileSync } from 'node:child_process'
import { copyFileSync, existsSync, readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

export const root = fileURLToPath(new URL('..', import.meta.url))

/**
 * @param {string} command
 * @param {string[]} args
 */
export function run(command, args, cwd = root) {
  try {
    execFileSync(command, args, { cwd, stdio: 'inherit' })
  } catch {
    console.error(`this failed: ${[command, ...args].join(' ')}`)
    process.exit(1)
  }
}

/**
 * Installs what a folder's lock file names, unless that is there.
 *
 * @param {string} folder below the root
 * @param {string} size
 */
export function install(folder, size) {
  const lock = `${root}${folder}/package-lock.json`
  const installed = `${root}${folder}/node_modules/installed-lock.json`
  if (existsSync(installed) && readFileSync(installed, 'utf8') === readFileSync(lock, 'utf8')) return
  console.log(`installing what ${folder}/package-lock.json names, about ${size}`)
  // Some want a newer Node than the oldest that this package supports, and run on it all the same.
  run('npm', ['ci', '--ignore-scripts', '--no-audit', '--no-fund', '--loglevel', 'error'], `${root}${folder}`)
  copyFileSync(lock, installed)
}

/** @param {string[]} args */
export const vitest = (...args) =>
  run(process.execPath, [`${root}node_modules/vitest/vitest.mjs`, 'run', ...args])
