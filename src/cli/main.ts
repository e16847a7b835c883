#!/usr/bin/env node
import { runCommandLine } from './program.ts'

// Who reads no further (`| head`) has seen enough: what is written then is nobody's.
for (const output of [process.stdout, process.stderr]) {
  output.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code !== 'EPIPE') throw error
  })
}

process.exitCode = await runCommandLine(process.argv.slice(2), process)
