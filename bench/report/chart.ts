import { BarChart, LineChart, type BarSeriesOption, type LineSeriesOption } from 'echarts/charts'
import {
  GridComponent,
  LegendComponent,
  TitleComponent,
  type GridComponentOption,
  type LegendComponentOption,
  type TitleComponentOption,
} from 'echarts/components'
import { init, use, type ComposeOption } from 'echarts/core'
import { SVGRenderer } from 'echarts/renderers'
import type { Comparison, Course, Measured, Row, Section } from '../harness/result.ts'

use([BarChart, LineChart, GridComponent, LegendComponent, TitleComponent, SVGRenderer])

type Option = ComposeOption<
  BarSeriesOption | LineSeriesOption | GridComponentOption | LegendComponentOption | TitleComponentOption
>

const WIDTH = 860
const ROW_HEIGHT = 22
const LABEL_WIDTH = 320
/** What has room, in characters. */
const LONGEST_LABEL = 52
/** Title and axis. */
const FRAME_HEIGHT = 90
const OURS = '#0b6e99'
const OTHERS = '#b8c0c8'
/** As many as there are lines, told apart by most eyes (Tableau 10, and others). */
const LINES = [
  '#4e79a7',
  '#0b6e99',
  '#76b7b2',
  '#f28e2b',
  '#e15759',
  '#59a14f',
  '#edc948',
  '#b07aa1',
  '#ff9da7',
  '#9c755f',
  '#bab0ac',
  '#2f4b26',
  '#d62ad0',
]
/** From here on bars of one length would all look like nothing beside the longest. */
const LOGARITHMIC_FROM = 20

/** A picture of a section that `isDrawn`, as SVG. */
export function chartOf(section: Section): string {
  if (section.kind === 'comparison')
    return drawn(bars(section), FRAME_HEIGHT + section.rows.length * ROW_HEIGHT)
  if (section.kind === 'facts' && section.course !== undefined)
    return drawn(lines(section.title, section.course), 455)
  throw new Error(`${section.title} has nothing to draw`)
}

function drawn(option: Option, height: number): string {
  const chart = init(null, null, { renderer: 'svg', ssr: true, width: WIDTH, height })
  chart.setOption({ animation: false, backgroundColor: '#ffffff', ...option })
  const svg = chart.renderToSVGString()
  chart.dispose()
  return svg
}

function bars({ title, unit, rows, baseline }: Comparison): Option {
  // Those that ran at different times, each beside a baseline of its own, are compared by it.
  const isRelative = rows.some(({ beside }) => beside !== undefined)
  const medianOf = ({ value, ratio }: Row): number => (isRelative ? ratio : value).median
  const medians = rows.map(medianOf)
  const measure = isRelative ? `times what ${baseline.replace(/^none /, '')} takes` : unit
  const wide = Math.max(...medians) / Math.min(...medians) > LOGARITHMIC_FROM
  return {
    title: { text: `${title}: ${measure}, less is better`, textStyle: { fontSize: 14 }, left: 8, top: 6 },
    grid: { left: LABEL_WIDTH + 15, right: 70, top: 40, bottom: 30 },
    xAxis: {
      type: wide ? 'log' : 'value',
      min: wide ? 10 ** Math.floor(Math.log10(Math.min(...medians))) : 0,
    },
    yAxis: {
      type: 'category',
      inverse: true,
      data: rows.map(shortLabelOf),
      axisLabel: { width: LABEL_WIDTH, overflow: 'truncate', interval: 0 },
    },
    series: [
      {
        type: 'bar',
        barCategoryGap: '30%',
        label: { show: true, position: 'right', formatter: ({ value }) => compact(Number(value)) },
        data: rows.map((row) => ({
          value: medianOf(row),
          itemStyle: { color: row.library === 'holdfast' ? OURS : OTHERS },
        })),
      },
    ],
  }
}

function lines(title: string, { x, y, lines: courses }: Course): Option {
  if (courses.length > LINES.length) throw new Error(`${title} has more lines than there are colours`)
  return {
    title: { text: `${title}: ${y}`, textStyle: { fontSize: 14 }, left: 8, top: 6 },
    color: LINES,
    // The gap is wide, since a reader's font may be wider than it was thought to be here.
    legend: { top: 30, left: 8, itemHeight: 8, itemGap: 20, textStyle: { fontSize: 11 } },
    grid: { left: 60, right: 20, top: 145, bottom: 45 },
    xAxis: { type: 'value', name: x, nameLocation: 'middle', nameGap: 26 },
    yAxis: { type: 'value' },
    series: courses.map((line) => {
      const ours = line.library === 'holdfast'
      return {
        type: 'line',
        name: labelOf(line),
        showSymbol: false,
        data: line.points.map(([at, value]) => [at, value]),
        lineStyle: { width: ours ? 3 : 1 },
        z: ours ? 3 : 2,
      }
    }),
  }
}

const labelOf = ({ library, name }: Pick<Measured, 'library' | 'name'>): string =>
  library === 'none' ? name : `${library}: ${name}`

/** What tells two rows apart stands at the end: of libraries that are used together, the first is named. */
function shortLabelOf(row: Pick<Measured, 'library' | 'name'>): string {
  const label = labelOf(row)
  const [first = '', ...others] = row.library.split(' + ')
  if (label.length <= LONGEST_LABEL || others.length === 0) return label
  return labelOf({ library: `${first} + …`, name: row.name })
}

const compact = (value: number): string =>
  new Intl.NumberFormat('en', { maximumSignificantDigits: 3 }).format(value)
