import { existsSync, statSync } from 'node:fs'
import { dirname, join, normalize } from 'node:path'
import { root } from '../package/run.ts'
import { readPage, type Link, type Page } from './markdown.ts'

/** Why a link leads nowhere; `undefined` where it is sound. Addresses on the web are not asked. */
export function brokenLink(page: Page, { at, url }: Link): string | undefined {
  if (/^[a-z][a-z0-9+.-]*:/i.test(url)) return undefined
  const [path = '', anchor] = decodeURI(url).split('#')
  const target = path === '' ? page.path : normalize(join(dirname(page.path), path))
  if (target.startsWith('..') || path.startsWith('/')) return `${at}: ${url} leaves the repository`
  if (!existsSync(join(root, target)) && target !== page.path) return `${at}: ${url} does not exist`
  if (anchor === undefined) return undefined
  return missingAnchor(target === page.path ? page : target, anchor)
    ? `${at}: ${url} names no heading`
    : undefined
}

function missingAnchor(target: Page | string, anchor: string): boolean {
  if (typeof target !== 'string') return !target.anchors.has(anchor)
  if (target.endsWith('.md')) return !readPage(target).anchors.has(anchor)
  return statSync(join(root, target)).isDirectory() || !/^L\d+(?:-L\d+)?$/.test(anchor)
}
