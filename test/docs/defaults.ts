/** The defaults that a page states, held against the constants that the code reads. */
import type { PhrasingContent, TableCell, TableRow } from 'mdast'
import { toString } from 'mdast-util-to-string'
import type { Page, PageTable } from './markdown.ts'

interface DocumentedDefault {
  readonly at: string
  /** `maxRetries`, or `retry.maxRetries` where a page speaks of several parts. */
  readonly option: string
  /** As it stands there, `'reject'` or `30000`; `undefined` for an option that has none. */
  readonly value: string | undefined
}

/** The rows of every table of a page whose second column is headed `Default`. */
function documentedDefaults(page: Page): DocumentedDefault[] {
  return page.tables.filter(statesDefaults).flatMap(({ node }) =>
    node.children.slice(1).map((row) => ({
      at: `${page.path}:${row.position?.start.line}`,
      option: codeIn(row, 0) ?? textIn(row, 0),
      value: codeIn(row, 1),
    })),
  )
}

function statesDefaults({ node }: PageTable): boolean {
  return node.children[0] !== undefined && textIn(node.children[0], 1) === 'Default'
}

type Constants = Readonly<Record<string, unknown>>

/** The values that a page states and the code does not have. */
export function wrongDefaults(page: Page, constants: Constants): string[] {
  return documentedDefaults(page).flatMap(({ at, option, value }) => {
    const actual = JSON.stringify(constants[option])
    const right = !(option in constants) || actual === normalized(value)
    return right ? [] : [`${at}: ${option} is ${actual}, the page says ${value}`]
  })
}

/** The options with a default that the code does not know. */
export function unknownDefaults(page: Page, constants: Constants): string[] {
  return documentedDefaults(page)
    .filter(({ option, value }) => value !== undefined && !(option in constants))
    .map(({ at, option }) => `${at}: ${option}`)
}

/** The options that a page should state and does not. */
export function missingDefaults(page: Page, constants: Constants): string[] {
  const stated = new Set(documentedDefaults(page).map(({ option }) => option))
  return Object.keys(constants).filter((option) => !stated.has(option))
}

/** `{ retry: { maxRetries: 4 } }` as `{ 'retry.maxRetries': 4 }`. */
export function dotted(constants: Readonly<Record<string, object>>): Record<string, unknown> {
  const pairs = Object.entries(constants).flatMap(([part, options]) =>
    Object.entries(options).map(([option, value]) => [`${part}.${option}`, value] as const),
  )
  return Object.fromEntries(pairs)
}

/** A literal of the page as JSON, so that both sides have one spelling. */
function normalized(literal: string | undefined): string | undefined {
  try {
    return JSON.stringify(JSON.parse((literal ?? '').replaceAll("'", '"').replaceAll(/(?<=\d)_(?=\d)/g, '')))
  } catch {
    return undefined
  }
}

function codeIn(row: TableRow, column: number): string | undefined {
  const isCode = (child: PhrasingContent): boolean => child.type === 'inlineCode'
  const code = cell(row, column)?.children.find(isCode)
  return code && toString(code)
}

function textIn(row: TableRow, column: number): string {
  return toString(cell(row, column)).trim()
}

function cell(row: TableRow, column: number): TableCell | undefined {
  return row.children[column]
}
