import { expressApp } from './express.ts'
import { handler, started, type ServerSubject } from './subject.ts'

export const bareNode: ServerSubject = {
  library: 'none',
  name: 'bare node:http',
  has: [],
  replays: false,
  start: async () => started(handler),
}

export const bareExpress: ServerSubject = {
  library: 'none',
  name: 'bare express',
  has: [],
  replays: false,
  start: async () => started(expressApp()),
}
