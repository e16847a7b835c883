import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import GithubSlugger from 'github-slugger'
import type { Code, Html, Nodes, Parent, Root, Table } from 'mdast'
import { fromMarkdown } from 'mdast-util-from-markdown'
import { gfmFromMarkdown } from 'mdast-util-gfm'
import { toString } from 'mdast-util-to-string'
import { gfm } from 'micromark-extension-gfm'
import { visit } from 'unist-util-visit'
import { root } from '../package/run.ts'

/** A fenced block of code. */
export interface Block {
  /** `docs/stores/sqlite.md:42`: the page and the line of the first line of code. */
  readonly at: string
  readonly page: string
  readonly line: number
  readonly language: string
  /** The words after the language: `no-run`, `title="src/x.ts"`. */
  readonly flags: readonly string[]
  readonly code: string
  /** The real file this block is a part of, by `title="..."` or a comment `<!-- from: ... -->` above it. */
  readonly from: string | undefined
}

export interface Link {
  readonly at: string
  readonly url: string
}

export interface PageTable {
  readonly at: string
  readonly node: Table
  /** The text of the comment right above it, if there is one. */
  readonly comment: string | undefined
}

export interface Page {
  /** Its path from the root of the repository. */
  readonly path: string
  readonly blocks: readonly Block[]
  readonly links: readonly Link[]
  readonly anchors: ReadonlySet<string>
  readonly tables: readonly PageTable[]
}

/** The pages for users, or those of them that are wanted: most of a page's time goes into parsing it. */
export function documentation(isWanted: (path: string, source: string) => boolean = () => true): Page[] {
  const docs = existsSync(join(root, 'docs')) ? readdirSync(join(root, 'docs'), { recursive: true }) : []
  const paths = docs.map((file) => `docs/${String(file).replaceAll('\\', '/')}`).filter(isMarkdown)
  return ['README.md', ...paths.toSorted(), ...exampleReadmes()]
    .filter((path) => existsSync(join(root, path)) && isWanted(path, sourceOf(path)))
    .map(readPage)
}

const exampleReadmes = (): string[] =>
  readdirSync(join(root, 'examples')).map((name) => `examples/${name}/README.md`)

/** The pages about the repository itself. */
export function housePages(): Page[] {
  return readdirSync(root)
    .filter((path) => isMarkdown(path) && path !== 'README.md')
    .map(readPage)
}

const sourceOf = (path: string): string => readFileSync(join(root, path), 'utf8')

const pages = new Map<string, Page>()

/** Parsed once: many links lead to the same pages. */
export function readPage(path: string): Page {
  const page = pages.get(path) ?? parsePage(path, sourceOf(path))
  pages.set(path, page)
  return page
}

export function parsePage(path: string, source: string): Page {
  const tree = fromMarkdown(source, { extensions: [gfm()], mdastExtensions: [gfmFromMarkdown()] })
  return {
    path,
    blocks: blocksOf(path, tree),
    links: linksOf(path, tree),
    anchors: anchorsOf(tree),
    tables: tablesOf(path, tree),
  }
}

function blocksOf(page: string, tree: Root): Block[] {
  const blocks: Block[] = []
  visit(tree, 'code', (node, index, parent) => {
    const line = lineOf(node) + 1
    const flags = node.meta?.split(/\s+/).filter(Boolean) ?? []
    const from = titleOf(node) ?? /^from: (\S+)$/.exec(commentAbove(parent, index) ?? '')?.[1]
    blocks.push({
      at: `${page}:${line}`,
      page,
      line,
      language: node.lang ?? '',
      flags,
      code: node.value,
      from,
    })
  })
  return blocks
}

function titleOf(node: Code): string | undefined {
  return /\btitle="([^"]+)"/.exec(node.meta ?? '')?.[1]
}

function linksOf(page: string, tree: Root): Link[] {
  const links: Link[] = []
  const add = (node: Nodes, url: string): unknown => links.push({ at: `${page}:${lineOf(node)}`, url })
  visit(tree, (node) => {
    if (node.type === 'link' || node.type === 'image' || node.type === 'definition') add(node, node.url)
    if (node.type === 'html') for (const url of urlsOf(node)) add(node, url)
  })
  return links
}

function urlsOf(node: Html): string[] {
  return [...node.value.matchAll(/\b(?:href|src|srcset)="([^"]+)"/g)].map((match) => match[1] ?? '')
}

/** As the usual renderers make them from headings, and those set by hand. */
function anchorsOf(tree: Root): ReadonlySet<string> {
  const slugger = new GithubSlugger()
  const anchors = new Set<string>()
  visit(tree, (node) => {
    if (node.type === 'heading') anchors.add(slugger.slug(toString(node)))
    if (node.type === 'html')
      for (const match of node.value.matchAll(/\b(?:id|name)="([^"]+)"/g)) anchors.add(match[1] ?? '')
  })
  return anchors
}

function tablesOf(page: string, tree: Root): PageTable[] {
  const tables: PageTable[] = []
  visit(tree, 'table', (node, index, parent) => {
    tables.push({ at: `${page}:${lineOf(node)}`, node, comment: commentAbove(parent, index) })
  })
  return tables
}

function commentAbove(parent: Parent | undefined, index: number | undefined): string | undefined {
  const above = parent?.children[(index ?? 0) - 1]
  return above?.type === 'html' ? /^<!--\s*(.*?)\s*-->$/s.exec(above.value)?.[1] : undefined
}

const lineOf = (node: Nodes): number => node.position?.start.line ?? 0

const isMarkdown = (path: string): boolean => path.endsWith('.md')
