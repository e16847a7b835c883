/** Run in a process of its own: serves one subject of the server benchmark, and says what it costs. */
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { serverSubjects } from './servers/all.ts'
import type { Told } from './servers/process.ts'
import { executionsSoFar } from './servers/subject.ts'
import { countRoundTrips } from './servers/round-trips.ts'

const subject = serverSubjects[Number(process.argv[2])]
if (subject === undefined) throw new Error(`there is no server ${process.argv[2]}`)
const roundTrips = subject.storePort === undefined ? () => 0 : countRoundTrips(subject.storePort)
const { listener, close } = await subject.start()
/** Connections stay while others are measured, which is longer than the 5 s after which Node closes them. */
const keepAliveTimeout = 600_000
const server = createServer({ keepAliveTimeout }, listener).listen(0, '127.0.0.1')

const tell = (told: Told): void => void process.send?.(told)

server.once('listening', () => tell({ port: (server.address() as AddressInfo).port }))
process.on('message', (asked) => {
  if (asked === 'costs') {
    const { user, system } = process.cpuUsage()
    tell({ cpuUs: user + system, roundTrips: roundTrips(), executions: executionsSoFar() })
    return
  }
  server.closeAllConnections()
  server.close()
  void close().finally(() => process.disconnect())
})
