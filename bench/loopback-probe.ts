/** Run in a process of its own: the server of the loopback benchmark, or one of its clients. */
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { ANSWER, put, type Load } from './loopback/load.ts'
import { loopbackSubjects } from './loopback/subjects.ts'
import type { Prepared } from './harness/subject.ts'

const tell = (told: object): void => void process.send?.(told)

const answer = JSON.stringify(ANSWER)

function serve(): void {
  const headers = { 'content-type': 'application/json', 'content-length': answer.length }
  let requests = 0
  const server = createServer((_request, response) => {
    requests++
    response.writeHead(200, headers).end(answer)
  })
  // Clients wait for their turn, and come back to their connections.
  server.keepAliveTimeout = 600_000
  server.listen(0, '127.0.0.1', () => tell({ port: (server.address() as AddressInfo).port }))
  process.on('message', (message) => (message === 'end' ? process.exit() : tell({ requests })))
}

function ask(subject: (typeof loopbackSubjects)[number]): void {
  let prepared: Promise<Prepared> | undefined
  process.on('message', (message: Load | 'end') => {
    if (message === 'end') process.exit()
    prepared ??= subject.setup(message.url)
    void prepared.then(async ({ run }) => tell(await put(run, message)))
  })
}

const [, , what] = process.argv
const subject = loopbackSubjects[Number(what)]
if (what === 'server') serve()
else if (subject === undefined) throw new Error(`there is no client ${what}`)
else ask(subject)
