/** The suite in a page. It hands each result to the server that it came from. */
import { runCase } from '../cases/case.ts'
import { corsCases } from '../cases/cors.ts'
import { cases } from '../cases/index.ts'
import { worldAt } from '../world.ts'

const tell = (what: unknown): Promise<unknown> =>
  fetch('/results', { method: 'POST', body: JSON.stringify(what) })

window.addEventListener('error', ({ message }) => void tell({ failure: message }))
window.addEventListener('unhandledrejection', ({ reason }) => void tell({ failure: String(reason) }))

const foreign = new URLSearchParams(location.search).get('foreign') ?? ''
const world = worldAt({ home: location.origin, foreign }, 'page')
for (const each of [...cases, ...corsCases]) await tell(await runCase(each, world))
await tell({ end: true })
