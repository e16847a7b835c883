/** `npm run sdks`: puts SDKs over the package and runs them against stand-ins for their APIs. */
import { install, root, run, vitest } from './apart.mjs'

const folder = 'test/sdks'
install(folder, '150 MB')
run(process.execPath, [`${root}node_modules/typescript/bin/tsc`, '-p', folder])
vitest('--config', `${folder}/vitest.config.ts`, ...process.argv.slice(2))
