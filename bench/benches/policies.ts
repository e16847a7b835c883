import type { RunBench } from '../harness/bench.ts'
import { bound, comparing, type Plan } from './compare.ts'
import type { Peer, Ready, Subject } from '../harness/subject.ts'
import { breakerByHand, pipelineByHand } from '../limit/by-hand.ts'
import { alone, openBreaker, openPipeline, smallerPipelines, wholePipeline } from '../ours/policies.ts'
import { bareCall, oneWrapper } from '../peers/bare.ts'
import { peers } from '../peers/peers.ts'

const subjectsOfPeers = (pick: (peer: Peer) => readonly Subject<Ready>[] | undefined): Subject<Ready>[] =>
  peers.flatMap((peer) => pick(peer) ?? [])

const ofOnePolicy = ({ has }: Subject<Ready>): boolean => has.length === 1
const ofSeveral = ({ has }: Subject<Ready>): boolean => has.length > 1

const policiesOfPeers = subjectsOfPeers(({ policies }) => policies)

const ready: Ready = async () => 'ready'

export const plans: readonly Plan<void>[] = bound(ready, [
  {
    title: 'One policy',
    note:
      'Around an async function whose result is ready. Ratios are to the bare call. `By hand` is the limit for a ' +
      'breaker with a window of time.',
    subjects: [bareCall, oneWrapper, breakerByHand, ...alone, ...policiesOfPeers.filter(ofOnePolicy)],
  },
  {
    title: 'Several policies',
    note:
      'Around the same function. Ratios are to the whole default pipeline of Holdfast: what is above 1 is ' +
      'slower, whether it does as much or less. `By hand` is the limit: what a good call has to do, in one piece.',
    subjects: [wholePipeline, pipelineByHand, ...smallerPipelines, ...policiesOfPeers.filter(ofSeveral)],
  },
  {
    title: 'A refused call',
    note: 'The circuit is open: how long until the caller has the error. Ratios are to the breaker of Holdfast.',
    subjects: [openBreaker, openPipeline, ...subjectsOfPeers(({ refusals }) => refusals)],
  },
])

/** What policies cost around an async function whose result is ready. */
export const run: RunBench = comparing('policies', plans)
