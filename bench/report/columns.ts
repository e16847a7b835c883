import type { Checkpoint, Comparison, Fact, Facts, Growth, Measured, Row } from '../harness/result.ts'
import { figure, mebibytes, range, ratioFigure } from './figures.ts'

/** A table, before it is drawn: for the terminal or for the page. */
export interface Grid {
  readonly head: readonly string[]
  readonly rows: readonly GridRow[]
}

export interface GridRow {
  readonly cells: readonly string[]
  /** What the eye should find: our own lines. */
  readonly marked: boolean
}

interface Column<Line> {
  readonly head: string
  readonly cell: (line: Line) => string
}

/** Columns to the left of the figures. */
export const TEXT_COLUMNS = 2

type Named = Pick<Measured, 'library' | 'name'>

const library: Column<Named> = {
  head: 'library',
  cell: (line) => (line.library === 'none' ? '' : line.library),
}
const isOurs = (line: Named): boolean => line.library === 'holdfast'

export function comparisonGrid({ unit, rows }: Comparison): Grid {
  const show = (value: number): string => figure(value, unit)
  const repeated = rows.some(({ samples }) => samples.length > 1)
  const columns: Column<Row>[] = [
    library,
    { head: 'what', cell: ({ name, remark }) => (remark === undefined ? name : `${name} (${remark})`) },
    { head: unit, cell: ({ value }) => show(value.median) },
    ...(repeated ? [{ head: 'spread', cell: ({ value }: Row) => range(value, show) }] : []),
    { head: 'ratio', cell: ({ ratio }) => ratioFigure(ratio.median) },
    ...(repeated ? [{ head: 'spread', cell: ({ ratio }: Row) => range(ratio, ratioFigure) }] : []),
    ...(rows.some(({ bytes }) => bytes !== undefined)
      ? [{ head: 'B', cell: ({ bytes }: Row) => (bytes === undefined ? '' : figure(bytes.median, 'B')) }]
      : []),
  ]
  return grid(columns, rows, isOurs)
}

export function factsGrid({ columns, rows }: Facts): Grid {
  const figures = columns.map(({ head, unit }, index): Column<Fact> => {
    const cell = ({ values }: Fact): string => {
      const value = values[index] ?? null
      return value === null ? '' : figure(value, unit)
    }
    return { head: unit === 'x' ? head : `${head}, ${unit}`, cell }
  })
  return grid([library, { head: 'what', cell: ({ name }) => name }, ...figures], rows, isOurs)
}

export function growthGrid({ checkpoints }: Growth): Grid {
  const columns: Column<Checkpoint>[] = [
    { head: 'calls', cell: ({ calls }) => figure(calls, 'B') },
    { head: 'heap', cell: ({ heapBytes }) => mebibytes(heapBytes) },
    { head: 'handles', cell: ({ resources }) => String(resources) },
    { head: 'listeners', cell: ({ listeners }) => String(listeners) },
    { head: 'circuits', cell: ({ circuits }) => String(circuits) },
  ]
  return grid(columns, checkpoints, () => false)
}

/** What a growth comes to, in one sentence. */
export function verdict({ grows, bytesPerCall, limitBytesPerCall }: Growth): string {
  const slope = `${bytesPerCall.toFixed(3)} bytes a call, of at most ${limitBytesPerCall}`
  return grows.length === 0 ? `flat: ${slope}` : `grows: ${grows.join('; ')}`
}

function grid<Line>(
  columns: readonly Column<Line>[],
  lines: readonly Line[],
  isMarked: (line: Line) => boolean,
): Grid {
  return {
    head: columns.map(({ head }) => head),
    rows: lines.map((line) => ({ cells: columns.map(({ cell }) => cell(line)), marked: isMarked(line) })),
  }
}
