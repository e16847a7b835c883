import { clearLine, cursorTo } from 'node:readline'
import pc from 'picocolors'

/** Tells how far a benchmark is. Called between measurements, never during one. */
export interface Progress {
  /** @param done The share that is done, 0 to 1. */
  step(done: number, what: string): void
  end(): void
}

/** The progress of one of `count` parts that take about the same time. */
export const partOf = (progress: Progress, place: number, count: number): Progress => ({
  ...progress,
  step: (done, what) => progress.step((place + done) / count, what),
})

const BAR_WIDTH = 24
const PLAIN_EVERY_MS = 5000

/** One line that is painted over on a terminal, else a plain line every five seconds. */
export function showProgress(title: string, output: NodeJS.WriteStream): Progress {
  return output.isTTY ? liveProgress(title, output) : plainProgress(title, output)
}

function liveProgress(title: string, output: NodeJS.WriteStream): Progress {
  const { bold, cyan, dim } = pc
  const erase = (): void => {
    cursorTo(output, 0)
    clearLine(output, 0)
  }
  return {
    step(done, what) {
      const full = Math.round(done * BAR_WIDTH)
      const room = Math.max(0, output.columns - title.length - BAR_WIDTH - 12)
      erase()
      output.write(
        `  ${bold(title)} ${cyan('━'.repeat(full))}${dim('─'.repeat(BAR_WIDTH - full))} ` +
          `${percent(done)} ${dim(what.slice(0, room))}`,
      )
    },
    end: erase,
  }
}

function plainProgress(title: string, output: NodeJS.WriteStream): Progress {
  let nextMs = 0
  return {
    step(done, what) {
      if (performance.now() < nextMs) return
      nextMs = performance.now() + PLAIN_EVERY_MS
      output.write(`${title} ${percent(done)} ${what}\n`)
    },
    end() {},
  }
}

const percent = (done: number): string => `${Math.floor(done * 100)} %`.padStart(5)
