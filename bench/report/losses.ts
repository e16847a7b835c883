import { figure } from './figures.ts'
import { pairedRatios, spreadOf, type Spread } from '../harness/arithmetic.ts'
import { idOf, type Comparison, type Fact, type FactColumn, type Facts, type Row } from '../harness/result.ts'

/** A peer that needs less than we do. */
export interface Loss {
  readonly ours: Row
  readonly peer: Row
  /** How many times what the peer needs we need, round by round. */
  readonly ratio: Spread
  /** What ours does and the peer does not. */
  readonly missing: Row['has']
}

const OURS = 'holdfast'

/**
 * Where a peer that does the same as one of ours, or a part of it, needs less; of each library the one that does most.
 * Rounds are compared with each other, and only what holds for three quarters of them counts: less may be chance.
 */
export function lossesOf({ rows }: Comparison): Loss[] {
  const ours = rows.filter(({ library }) => library === OURS)
  const peers = rows.filter(({ library }) => library !== OURS)
  return ours.flatMap((own) => {
    const losses = peers.filter((peer) => doesPartOf(peer, own)).map((peer) => lossOf(own, peer))
    return closestOfEach(losses.filter(({ ratio }) => ratio.q1 > 1))
  })
}

function closestOfEach(losses: readonly Loss[]): Loss[] {
  const best = new Map<string, Loss>()
  for (const loss of losses) {
    const { library } = loss.peer
    const known = best.get(library)
    if (known === undefined || loss.missing.length < known.missing.length) best.set(library, loss)
  }
  return [...best.values()]
}

function lossOf(ours: Row, peer: Row): Loss {
  const ratio = spreadOf(pairedRatios(relative(ours), relative(peer)))
  return { ours, peer, ratio, missing: ours.has.filter((ability) => !peer.has.includes(ability)) }
}

/** Those with a baseline of their own are compared by it: they ran at different times. */
export const relative = ({ samples, beside }: Row): readonly number[] =>
  beside === undefined ? samples : pairedRatios(samples, beside)

/** Whether a peer does something, and nothing that ours does not. */
export const doesPartOf = (peer: Row, own: Row): boolean =>
  peer.has.length > 0 && peer.has.every((ability) => own.has.includes(ability))

/** Facts have no rounds to compare: less than this may be chance. */
const CHANCE = 0.05

/** Where a peer has a better figure than one of ours, by column: one sentence for each, with the best of the peers. */
export function factLossesOf({ columns, rows }: Facts): string[] {
  const ours = rows.filter(({ library }) => library === OURS)
  const peers = rows.filter(({ library }) => library !== OURS && library !== 'none')
  return ours.flatMap((own) =>
    columns.flatMap((column, place) => {
      const best = bestOf(peers, column, place)
      const [value, peerValue] = [own.values[place] ?? null, best?.values[place] ?? null]
      if (best === undefined || value === null || peerValue === null || !isWorse(value, peerValue, column))
        return []
      const [mine, theirs] = [value, peerValue].map((one) => `${figure(one, column.unit)} ${column.unit}`)
      return [`${own.name} has ${column.head} ${mine}, ${idOf(best)} ${theirs}`]
    }),
  )
}

function bestOf(peers: readonly Fact[], { best }: FactColumn, place: number): Fact | undefined {
  const valueOf = ({ values }: Fact): number => values[place] ?? NaN
  const inOrder = peers
    .filter((peer) => !Number.isNaN(valueOf(peer)))
    .toSorted((a, b) => valueOf(a) - valueOf(b))
  return best === 'most' ? inOrder.at(-1) : inOrder[0]
}

function isWorse(value: number, peer: number, { best }: FactColumn): boolean {
  if (best === undefined) return false
  return best === 'least' ? value > peer * (1 + CHANCE) : value < peer * (1 - CHANCE)
}

/** One sentence. */
export function describeLoss({ ours, peer, ratio, missing }: Loss): string {
  const less = missing.length === 0 ? '' : ` (which has no ${missing.join(', ')})`
  return `${ours.name} takes ${ratio.median.toFixed(2)} x what ${idOf(peer)} takes${less}`
}
