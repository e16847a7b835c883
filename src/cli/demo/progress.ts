import pc from 'picocolors'
import { systemClock, type Clock, type Timer } from '../../primitives/clock.ts'
import type { Output } from '../terminal.ts'
import { weatherAt } from './plan.ts'
import type { Tally } from './tally.ts'

export interface ProgressLine {
  readonly title: string
  readonly tally: Tally
}

export interface ProgressOptions {
  readonly lines: readonly ProgressLine[]
  readonly ordered: number
  /** Since the start, in ms of the plan's time. */
  readonly elapsedMs: () => number
  readonly output: Output
  readonly coloured: boolean
  /** The time between two pictures. Default: the platform's. */
  readonly clock?: Clock
}

const FRAME_EVERY_MS = 80
const PLAIN_EVERY_MS = 3000
const HIDE_CURSOR = '\u001B[?25l'
const SHOW_CURSOR = '\u001B[?25h'
const CLEAR_LINE = '\u001B[2K'
const up = (lines: number): string => (lines === 0 ? '' : `\u001B[${lines}A`)

/** Shows how it goes, until it is stopped: in place on a terminal, else a line every three seconds. */
export function showProgress(options: ProgressOptions): { stop(): void } {
  return options.output.isTTY === true ? new LiveProgress(options) : new PlainProgress(options)
}

class LiveProgress {
  readonly #options: ProgressOptions
  #timer: Timer
  #height = 0

  constructor(options: ProgressOptions) {
    this.#options = options
    options.output.write(HIDE_CURSOR)
    this.#timer = this.#draw()
  }

  stop(): void {
    this.#timer.cancel()
    this.#paint([])
    this.#options.output.write(SHOW_CURSOR)
  }

  #draw(): Timer {
    this.#paint(drawFrame(this.#options))
    return (this.#options.clock ?? systemClock).schedule(() => (this.#timer = this.#draw()), FRAME_EVERY_MS)
  }

  /** Over the picture before; an empty one leaves no trace. */
  #paint(lines: readonly string[]): void {
    const blank = Array.from({ length: Math.max(0, this.#height - lines.length) }, () => '')
    const text = [...lines, ...blank].map((line) => `${CLEAR_LINE}${line}\n`).join('')
    this.#options.output.write(up(this.#height) + text + up(blank.length))
    this.#height = lines.length
  }
}

class PlainProgress {
  readonly #options: ProgressOptions
  #timer: Timer

  constructor(options: ProgressOptions) {
    this.#options = options
    this.#timer = this.#next()
  }

  stop(): void {
    this.#timer.cancel()
  }

  #next(): Timer {
    const tell = (): void => {
      this.#options.output.write(`${plainLine(this.#options)}\n`)
      this.#timer = this.#next()
    }
    return (this.#options.clock ?? systemClock).schedule(tell, PLAIN_EVERY_MS)
  }
}

const atTime = (ms: number): string => `${(ms / 1000).toFixed(1).padStart(5)} s`

function plainLine({ lines, ordered, elapsedMs }: ProgressOptions): string {
  const parts = lines.map(({ title, tally }) => {
    const parked = tally.waiting > 0 ? `, ${tally.waiting} parked` : ''
    return `${title} ${tally.finished} of ${ordered}${parked}`
  })
  return [atTime(elapsedMs()), ...parts, weatherAt(elapsedMs()) ?? 'fair weather'].join('   ')
}

/** The picture on a terminal. */
export function drawFrame({ lines, ordered, elapsedMs, output, coloured }: ProgressOptions): string[] {
  const { bold, cyan, dim, red, yellow } = pc.createColors(coloured)
  const weather = weatherAt(elapsedMs())
  const barWidth = Math.min(30, Math.max(8, (output.columns ?? 80) - 56))
  const titleWidth = Math.max(...lines.map(({ title }) => title.length))
  const rows = lines.map(({ title, tally }) => {
    const full = Math.round((tally.finished / ordered) * barWidth)
    const bar = cyan('━'.repeat(full)) + dim('─'.repeat(barWidth - full))
    const failed = tally.finished - tally.confirmed.size
    const notes = [
      `${String(tally.confirmed.size).padStart(String(ordered).length)} confirmed`,
      ...(failed > 0 ? [red(`${failed} given up`)] : []),
      ...(tally.waiting > 0 ? [yellow(`${tally.waiting} parked`)] : []),
    ]
    return `  ${bold(title.padEnd(titleWidth))}  ${bar}  ${notes.join('  ')}`
  })
  const sky = weather === undefined ? dim('single faults only') : red(weather)
  return ['', `  ${atTime(elapsedMs())}  ${sky}`, '', ...rows, '']
}
