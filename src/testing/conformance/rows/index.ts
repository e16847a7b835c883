import type { Row } from '../row.ts'
import { concurrency } from './concurrency.ts'
import { identity } from './identity.ts'
import { replaying } from './replaying.ts'
import { surroundings } from './surroundings.ts'
import { syntax } from './syntax.ts'

/** D rows are the draft's, P rows this project's; each in the order of its number. */
const place = ({ id }: Row): number =>
  (id.startsWith('D') ? 0 : 1000) + Number.parseInt(id.slice(1), 10) * 10 + (id.includes('-') ? 1 : 0)

export const rows: readonly Row[] = [
  ...syntax,
  ...identity,
  ...replaying,
  ...concurrency,
  ...surroundings,
].sort((one, other) => place(one) - place(other))
