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
import type { Comparison, Course, Measured, Section } from '../harness/result.ts'

use([BarChart, LineChart, GridComponent, LegendComponent, TitleComponent, SVGRenderer])

type Option = ComposeOption<
  BarSeriesOption | LineSeriesOption | GridComponentOption | LegendComponentOption | TitleComponentOption
>

const WIDTH = 860
const ROW_HEIGHT = 22
/** Title and axis. */
const FRAME_HEIGHT = 90
const OURS = '#0b6e99'
const OTHERS = '#b8c0c8'
/** As many as there are lines, told apart by most eyes (Tableau 10, and two). */
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
]
/** From here on bars of one length would all look like nothing beside the longest. */
const LOGARITHMIC_FROM = 20

/** A picture of a section that `isDrawn`, as SVG. */
export function chartOf(section: Section): string {
  if (section.kind === 'comparison')
    return drawn(bars(section), FRAME_HEIGHT + section.rows.length * ROW_HEIGHT)
  if (section.kind === 'facts' && section.course !== undefined)
    return drawn(lines(section.title, section.course), 420)
  throw new Error(`${section.title} has nothing to draw`)
}

function drawn(option: Option, height: number): string {
  const chart = init(null, null, { renderer: 'svg', ssr: true, width: WIDTH, height })
  chart.setOption({ animation: false, backgroundColor: '#ffffff', ...option })
  const svg = chart.renderToSVGString()
  chart.dispose()
  return svg
}

function bars({ title, unit, rows }: Comparison): Option {
  const medians = rows.map(({ value }) => value.median)
  const wide = Math.max(...medians) / Math.min(...medians) > LOGARITHMIC_FROM
  return {
    title: { text: `${title}: ${unit}, less is better`, textStyle: { fontSize: 14 }, left: 8, top: 6 },
    grid: { left: 300, right: 70, top: 40, bottom: 30 },
    xAxis: {
      type: wide ? 'log' : 'value',
      min: wide ? 10 ** Math.floor(Math.log10(Math.min(...medians))) : 0,
    },
    yAxis: {
      type: 'category',
      inverse: true,
      data: rows.map(labelOf),
      axisLabel: { width: 285, overflow: 'truncate', interval: 0 },
    },
    series: [
      {
        type: 'bar',
        barCategoryGap: '30%',
        label: { show: true, position: 'right', formatter: ({ value }) => compact(Number(value)) },
        data: rows.map(({ library, value }) => ({
          value: value.median,
          itemStyle: { color: library === 'holdfast' ? OURS : OTHERS },
        })),
      },
    ],
  }
}

function lines(title: string, { x, y, lines: courses }: Course): Option {
  return {
    title: { text: `${title}: ${y}`, textStyle: { fontSize: 14 }, left: 8, top: 6 },
    color: LINES,
    legend: { top: 30, left: 8, itemHeight: 8, textStyle: { fontSize: 11 } },
    grid: { left: 60, right: 20, top: 110, bottom: 45 },
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

const compact = (value: number): string =>
  new Intl.NumberFormat('en', { maximumSignificantDigits: 3 }).format(value)
