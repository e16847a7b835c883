/** A file on a server that knows ranges (RFC 9110, 14): the handler of a fault server, or behind a transport. */
export function resource(text: string, etag = '"v1"', more: Readonly<Record<string, string>> = {}) {
  return (request: Request): Response => {
    const headers = new Headers({ ...more, etag, 'content-length': `${text.length}` })
    const first = Number(/^bytes=(\d+)-$/.exec(request.headers.get('range') ?? '')?.[1] ?? Number.NaN)
    if (Number.isNaN(first) || request.headers.get('if-range') !== etag)
      return new Response(text, { headers })
    headers.set('content-length', `${text.length - first}`)
    headers.set('content-range', `bytes ${first}-${text.length - 1}/${text.length}`)
    return new Response(text.slice(first), { status: 206, headers })
  }
}
