import type { Result, Section } from '../harness/result.ts'
import { lineOf } from './figures.ts'

/** Whether a section is worth a picture; of the others the table says all there is. */
export const isDrawn = (section: Section): boolean =>
  section.kind === 'comparison'
    ? section.rows.length > 2
    : section.kind === 'facts' && section.course !== undefined

/** The file that a section is drawn in. */
export function pictureName({ bench, machine, sections }: Result, section: Section): string {
  return `${bench}-${sections.indexOf(section) + 1}-node-${lineOf(machine.node)}.svg`
}
