import { createFetch } from '../../index.ts'
import { faultServer } from '../../testing/index.ts'

const REQUESTS = 120
const AT_A_TIME = 12

/**
 * Reads from the API, through everything that orders will go through, until the engine has compiled it. Without it the
 * first requests of a process take several ms each, which with `--fast` is a good part of the plan's time.
 */
export async function warmUp(apiUrl: string): Promise<void> {
  await using server = await faultServer({ upstream: apiUrl, keepRequests: 0 })
  const holdfast = createFetch()
  let left = REQUESTS
  const visitor = async (): Promise<void> => {
    while (left-- > 0) {
      await (await fetch(server.url)).arrayBuffer()
      await (await holdfast(server.url)).arrayBuffer()
    }
  }
  await Promise.all(Array.from({ length: AT_A_TIME }, visitor))
}
