/** The undici releases that the interceptor is for, as far as this Node can load them. */
import { createRequire } from 'node:module'
import { pathToFileURL } from 'node:url'
import type * as Undici from 'undici'

/** What the tests use of it is the same in all of them; version 7's types stand for all. */
export type UndiciModule = typeof Undici

interface Version {
  readonly name: string
  readonly undici: UndiciModule
}

async function load(name: string, specifier: string): Promise<Version> {
  return { name, undici: (await import(specifier)) as UndiciModule }
}

/** It needs a newer Node than the oldest one that the package is for, so it is installed with the SDKs. */
async function loadUndici8(): Promise<Version[]> {
  const [major = 0, minor = 0] = process.versions.node.split('.').map(Number)
  const leftOut = (why: string): Version[] => {
    console.warn(`LEFT OUT: undici8 ${why}`)
    return []
  }
  if (major < 22 || (major === 22 && minor < 19))
    return leftOut(`needs Node 22.19, this is ${process.version}`)
  const sdks = createRequire(new URL('../../sdks/package.json', import.meta.url))
  try {
    return [await load('undici8', pathToFileURL(sdks.resolve('undici8')).href)]
  } catch {
    return leftOut('is not installed: `npm run sdks` installs it and runs these tests with it')
  }
}

export const versions: readonly Version[] = [
  await load('undici6', 'undici6'),
  // What the documentation imports goes by its own name.
  await load('undici7', 'undici'),
  ...(await loadUndici8()),
]
