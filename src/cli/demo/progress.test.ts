import { expect, test } from 'vitest'
import { virtualClock } from '../../testing/index.ts'
import { drawFrame, showProgress, type ProgressOptions } from './progress.ts'
import { Tally } from './tally.ts'

function setUp(isTTY: boolean): {
  options: ProgressOptions
  written: string[]
  tally: Tally
  clock: ReturnType<typeof virtualClock>
} {
  const clock = virtualClock()
  const written: string[] = []
  const tally = new Tally()
  const options: ProgressOptions = {
    lines: [
      { title: 'bare fetch', tally: new Tally() },
      { title: 'Holdfast', tally },
    ],
    ordered: 100,
    elapsedMs: () => clock.now(),
    output: { write: (text) => written.push(text), isTTY, columns: 100 },
    coloured: false,
    clock,
  }
  return { options, written, tally, clock }
}

test('the picture shows how far each is, and what the weather is like', async () => {
  const { options, tally, clock } = setUp(true)
  await clock.advance(9000)
  tally.finished = 50
  for (let order = 0; order < 48; order++) tally.confirmed.add(order)
  tally.waiting = 7
  expect(drawFrame(options)).toEqual([
    '',
    '    9.0 s  total outage, connections refused',
    '',
    `  bare fetch  ${'─'.repeat(30)}    0 confirmed`,
    `  Holdfast    ${'━'.repeat(15)}${'─'.repeat(15)}   48 confirmed  2 given up  7 parked`,
    '',
  ])
})

test('on a terminal it draws in place, and leaves nothing behind', async () => {
  const { options, written, clock } = setUp(true)
  const progress = showProgress(options)
  await clock.advance(80)
  const frames = written.filter((text) => text.includes('Holdfast'))
  expect(frames).toHaveLength(2)
  expect(frames[1]?.startsWith('\u001B[6A')).toBe(true)
  progress.stop()
  expect(written.at(-2)?.includes('Holdfast')).toBe(false)
  expect(written.at(-1)).toBe('\u001B[?25h')
  expect(clock.pending).toBe(0)
})

test('elsewhere it says a line every three seconds, without control characters', async () => {
  const { options, written, tally, clock } = setUp(false)
  tally.waiting = 3
  const progress = showProgress(options)
  await clock.advance(9000)
  expect(written).toEqual([
    '  3.0 s   bare fetch 0 of 100   Holdfast 0 of 100, 3 parked   fair weather\n',
    '  6.0 s   bare fetch 0 of 100   Holdfast 0 of 100, 3 parked   fair weather\n',
    '  9.0 s   bare fetch 0 of 100   Holdfast 0 of 100, 3 parked   total outage, connections refused\n',
  ])
  progress.stop()
  expect(clock.pending).toBe(0)
})
