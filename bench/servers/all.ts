import { serversByHand } from '../limit/server.ts'
import { bareExpress, bareNode } from './bare.ts'
import { ourExpressServers, ourNodeServers } from './ours.ts'
import { publishedServers } from './published.ts'
import type { ServerSubject } from './subject.ts'

type Group = readonly [baseline: ServerSubject, ...others: ServerSubject[]]

/** On `node:http`, beside the bare handler. */
export const nodeServers: Group = [bareNode, ...serversByHand, ...ourNodeServers]

/** In Express, where most of the published middleware is at home. */
export const expressServers: Group = [bareExpress, ...ourExpressServers, ...publishedServers]

/** What a process of its own is told to serve, by its place. */
export const serverSubjects: readonly ServerSubject[] = [...nodeServers, ...expressServers]
