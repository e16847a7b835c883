import { idempotency } from '../../../src/idempotency/frameworks/express.ts'
import { storeKinds } from '../../../bench/servers/ours.ts'
import { published } from '../../../bench/servers/published.ts'
import type { Mount } from './app.ts'

/** A layer to be put in front of the fixture. */
export interface ConformSubject {
  /** The npm packages, joined by ` + `. */
  readonly library: string
  readonly store: string
  readonly open: () => Promise<Mount & { readonly close?: () => Promise<void> }>
}

const ours: readonly ConformSubject[] = storeKinds.map(({ name, open }) => ({
  library: 'holdfast',
  store: name,
  async open() {
    const { store, close } = await open()
    return { layers: [idempotency({ store })], mountedOn: 'every method', close }
  },
}))

const theirs: readonly ConformSubject[] = published.map(({ library, store, mountedOn, open }) => ({
  library,
  store,
  open: async () => ({ ...(await open()), mountedOn }),
}))

export const subjects: readonly ConformSubject[] = [...theirs, ...ours]
