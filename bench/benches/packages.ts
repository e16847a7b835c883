import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { root } from '../harness/machine.ts'
import type { Ability } from '../harness/subject.ts'

interface Manifest {
  readonly exports: Record<string, string | { readonly default: string }>
  readonly peerDependencies: Record<string, string>
}

const manifest = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as Manifest

/** Every entry of the package that is code: what users write after `from`. */
export const entries: readonly string[] = Object.entries(manifest.exports)
  .filter(([, target]) => typeof target === 'object')
  .map(([subpath]) => subpath.replace('.', 'holdfast'))

/** What users install themselves, where they need it. */
export const optionalPeers: readonly string[] = Object.keys(manifest.peerDependencies)

/** Something that is imported: all of a module, or some of its names. */
export interface Imported {
  readonly library: string
  readonly name: string
  readonly has: readonly Ability[]
  readonly from: readonly string[]
  /** Default: everything. */
  readonly names?: readonly string[]
}

/** What an application imports of a peer to have what `has` says. */
export const importedPeers: readonly Imported[] = [
  peer('fetch-retry', ['retry'], ['default']),
  peer('p-retry', ['retry'], ['default']),
  peer('@fetchkit/ffetch', ['retry', 'breaker', 'timeout'], ['createClient']),
  peer(
    'cockatiel',
    ['retry', 'breaker', 'timeout'],
    ['circuitBreaker', 'ExponentialBackoff', 'handleAll', 'retry', 'SamplingBreaker', 'timeout', 'wrap'],
  ),
  peer('mollitia', ['retry', 'breaker', 'timeout'], ['Circuit', 'Retry', 'SlidingCountBreaker', 'Timeout']),
  peer('ofetch', ['retry', 'timeout'], ['ofetch']),
  peer('opossum', ['breaker', 'timeout'], ['default']),
  peer('ky', ['retry', 'timeout'], ['default']),
  {
    library: 'axios + axios-retry',
    name: 'retry + timeout',
    has: ['retry', 'timeout'],
    from: ['axios', 'axios-retry'],
    names: ['default'],
  },
  peer('got', ['retry', 'timeout'], ['default']),
]

function peer(library: string, has: readonly Ability[], names: readonly string[]): Imported {
  return { library, name: has.join(' + '), has, from: [library], names }
}
