/**
 * The modules of this package and what they import, read by a real parser: the build check walks `dist` with it, the
 * architecture test walks `src`.
 */
import { existsSync, readFileSync } from 'node:fs'
import { dirname, extname, resolve } from 'node:path'
import { parseSync } from 'oxc-parser'

/**
 * A file that code opens through its URL (a worker, a child process, a page) is as reachable as an import. A module may
 * name one with its own extension: `.ts` in the sources is `.js` in `dist`.
 */
const urlReference = /\bnew URL\(\s*(['"`])(\.{1,2}\/[^'"`]+)\1\s*,\s*import\.meta\.url\s*\)/g
const ownExtension = '${extname(import.meta.url)}'

/** @typedef {import('./module-graph.d.mts').Import} Import */

/**
 * Every import of one file, in no particular order.
 *
 * @param {string} file
 * @returns {Import[]}
 */
export function importsOf(file) {
  const source = readFileSync(file, 'utf8')
  const { module, errors } = parseSync(file, source)
  if (errors.length > 0) throw new Error(`${file} does not parse: ${errors[0]?.message}`)

  /** @type {Import[]} */
  const imports = []
  /** @type {(specifier: string, start: number, typeOnly: boolean) => void} */
  const add = (specifier, start, typeOnly) => {
    imports.push({ specifier, typeOnly, line: source.slice(0, start).split('\n').length })
  }

  for (const { moduleRequest, entries, start } of module.staticImports)
    add(moduleRequest.value, start, entries.length > 0 && entries.every((entry) => entry.isType))
  for (const { entries, start } of module.staticExports)
    for (const entry of entries) if (entry.moduleRequest) add(entry.moduleRequest.value, start, entry.isType)
  for (const { moduleRequest, start } of module.dynamicImports) {
    const literal = /^(['"`])([^$]*)\1$/.exec(source.slice(moduleRequest.start, moduleRequest.end))
    if (literal?.[2]) add(literal[2], start, false)
  }
  for (const reference of source.matchAll(urlReference))
    add((reference[2] ?? '').replace(ownExtension, extname(file)), reference.index, false)
  return imports
}

/** @param {string} specifier */
export const isRelative = (specifier) => specifier.startsWith('./') || specifier.startsWith('../')

/**
 * The file behind a relative import, or `undefined` where there is none.
 *
 * @param {string} importer
 * @param {string} specifier
 * @returns {string | undefined}
 */
export function resolveRelative(importer, specifier) {
  const path = resolve(dirname(importer), specifier)
  // A declaration file names its neighbours as the source did (`./clock.ts`) or as the output does (`./clock.js`).
  const candidates = importer.endsWith('.d.ts') ? [path.replace(/\.(?:js|ts)$/, '.d.ts'), path] : [path]
  return candidates.find((candidate) => existsSync(candidate))
}
