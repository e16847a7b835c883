/** The undici releases that the interceptor is for, as far as this Node can load them. */
import type * as Undici from 'undici'

/** What the tests use of it is the same in all of them; version 7's types stand for all. */
export type UndiciModule = typeof Undici

interface Version {
  readonly name: string
  /** `undefined` where the running Node is too old for it. */
  readonly undici: UndiciModule | undefined
}

async function load(name: string, needs: readonly [major: number, minor: number]): Promise<Version> {
  const [major = 0, minor = 0] = process.versions.node.split('.').map(Number)
  if (major < needs[0] || (major === needs[0] && minor < needs[1])) {
    console.warn(`LEFT OUT: ${name} needs Node ${needs.join('.')}, this is ${process.versions.node}`)
    return { name, undici: undefined }
  }
  // What the documentation imports goes by its own name.
  const specifier = name === 'undici7' ? 'undici' : name
  return { name, undici: (await import(specifier)) as UndiciModule }
}

export const versions: readonly Version[] = [
  await load('undici6', [18, 17]),
  await load('undici7', [20, 18]),
  await load('undici8', [22, 19]),
]
