/** The suite in a process of its own: Node, Bun, Deno. Prints a line of JSON for each case. */
import process from 'node:process'
import { runCase } from '../cases/case.ts'
import { cases } from '../cases/index.ts'
import { worldAt } from '../world.ts'

const [home = '', foreign = ''] = process.argv.slice(2)
const world = worldAt({ home, foreign }, 'process')
for (const each of cases) console.log(JSON.stringify(await runCase(each, world)))
