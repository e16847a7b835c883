/** The server half in a process of its own: Node, Bun, Deno. Prints a line of JSON: where each framework is served. */
import { startAll } from '../servers/frameworks.ts'

console.log(JSON.stringify(await startAll()))
