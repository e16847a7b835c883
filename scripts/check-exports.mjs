/**
 * `exports`, `bin` and `dist` must agree: each entry exists with its types, every file in `dist` can be reached from an
 * entry, and what `dist` imports is declared. Run by the build, which fails when they do not.
 */
import { existsSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs'
import { builtinModules } from 'node:module'
import { join, relative } from 'node:path'
import { fileURLToPath } from 'node:url'
import { importsOf, isRelative, resolveRelative } from './module-graph.mjs'

/**
 * @param {string} root The folder with the package.json.
 * @returns {string[]} What is wrong, a sentence each; nothing when all is well.
 */
export function checkExports(root) {
  const manifest = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'))
  const { entries, problems } = entriesOf(root, manifest)
  const { reached, external, broken } = walk(root, entries)
  problems.push(...broken)

  for (const unit of new Set(filesUnder(join(root, 'dist')).map(unitOf)))
    if (!reached.has(unit)) problems.push(`${relative(root, unit)} is reached by no entry of exports or bin`)

  const declared = { ...manifest.dependencies, ...manifest.peerDependencies }
  for (const [name, importer] of external)
    if (!(name in declared))
      problems.push(`${importer} imports "${name}", which package.json does not declare`)

  return problems
}

/**
 * Declarations of what is no one's business but the package's: no entry's declarations name them.
 *
 * @param {string} root The folder with the package.json.
 */
export function removeUnreachedDeclarations(root) {
  const { entries } = entriesOf(root, JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')))
  const { reached } = walk(root, entries)
  for (const file of filesUnder(join(root, 'dist')))
    if (file.endsWith('.d.ts') && !reached.has(unitOf(file))) rmSync(file)
}

/**
 * @param {string} root
 * @param {{ exports: Record<string, unknown>, bin?: Record<string, string> }} manifest
 */
function entriesOf(root, manifest) {
  /** @type {string[]} */
  const entries = []
  /** @type {string[]} */
  const problems = []
  /** @type {(label: string, target: string) => void} */
  const add = (label, target) => {
    const file = join(root, target)
    if (existsSync(file)) entries.push(file)
    else problems.push(`${label} points at ${target}, which does not exist`)
  }

  for (const [subpath, target] of Object.entries(manifest.exports)) {
    const label = `exports["${subpath}"]`
    if (typeof target === 'string') {
      add(label, target)
      if (target.endsWith('.js')) problems.push(`${label} has no "types" condition`)
      continue
    }
    const conditions = /** @type {Record<string, string>} */ (target)
    if (Object.keys(conditions)[0] !== 'types') problems.push(`${label} should name "types" first`)
    for (const path of Object.values(conditions)) add(label, path)
  }
  for (const [name, path] of Object.entries(manifest.bin ?? {})) {
    add(`bin.${name}`, path)
    problems.push(...problemsOfBin(name, join(root, path)))
  }
  return { entries, problems }
}

/**
 * @param {string} name
 * @param {string} file
 */
function problemsOfBin(name, file) {
  if (!existsSync(file)) return []
  const problems = []
  if (!readFileSync(file, 'utf8').startsWith('#!/usr/bin/env node'))
    problems.push(`bin.${name} has no shebang`)
  if ((statSync(file).mode & 0o111) === 0) problems.push(`bin.${name} is not executable`)
  return problems
}

/**
 * @param {string} root
 * @param {string[]} entries
 */
function walk(root, entries) {
  /** @type {Set<string>} */
  const reached = new Set()
  /** @type {Set<string>} */
  const seen = new Set()
  /** @type {Map<string, string>} */
  const external = new Map()
  /** @type {string[]} */
  const broken = []
  const queue = [...entries]

  for (let file = queue.pop(); file !== undefined; file = queue.pop()) {
    if (seen.has(file)) continue
    seen.add(file)
    reached.add(unitOf(file))
    // Who reaches code reaches its declarations, and what only they import.
    queue.push(...[`${unitOf(file)}.d.ts`].filter((declarations) => existsSync(declarations)))
    if (!/\.(?:js|ts)$/.test(file)) continue
    for (const { specifier } of importsOf(file)) {
      if (isRelative(specifier)) {
        const target = resolveRelative(file, specifier)
        if (target) queue.push(target)
        else broken.push(`${relative(root, file)} refers to "${specifier}", which is not in dist`)
      } else if (!isBuiltin(specifier)) external.set(packageOf(specifier), relative(root, file))
    }
  }
  return { reached, external, broken }
}

/** A module is its code and its declarations: reaching one reaches both. @param {string} file */
const unitOf = (file) => file.replace(/\.(?:d\.ts|js)$/, '')

/** @param {string} specifier */
const isBuiltin = (specifier) => specifier.startsWith('node:') || builtinModules.includes(specifier)

/** @param {string} specifier */
const packageOf = (specifier) =>
  specifier
    .split('/')
    .slice(0, specifier.startsWith('@') ? 2 : 1)
    .join('/')

/**
 * @param {string} folder
 * @returns {string[]}
 */
function filesUnder(folder) {
  if (!existsSync(folder)) return []
  return readdirSync(folder, { withFileTypes: true, recursive: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name))
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const problems = checkExports(fileURLToPath(new URL('..', import.meta.url)))
  for (const problem of problems) console.error(`check-exports: ${problem}`)
  if (problems.length > 0) process.exitCode = 1
  else console.log('check-exports: exports, bin and dist agree')
}
