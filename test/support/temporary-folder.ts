import { existsSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

/** In memory, where the machine has such a place: nothing here outlives a power cut, so no test has to wait for a disk. */
const IN_MEMORY = '/dev/shm'
export const parent: string = existsSync(IN_MEMORY) ? IN_MEMORY : tmpdir()

export async function temporaryFolder(): Promise<{ readonly path: string } & AsyncDisposable> {
  const path = await mkdtemp(join(parent, 'holdfast-'))
  return { path, [Symbol.asyncDispose]: () => rm(path, { recursive: true, force: true }) }
}
