import express, { type ErrorRequestHandler, type Express, type RequestHandler, type Response } from 'express'
import { conformanceFixture, type FixtureAnswer } from '../../../src/testing/index.ts'

export interface Mount {
  readonly layers: readonly RequestHandler[]
  readonly mountedOn: 'every method' | 'POST'
}

const BODY_LIMIT = 1_048_576

/** The conformance fixture as somebody who uses Express would write it, behind a layer that was published for Express. */
export function fixtureApp({ layers, mountedOn }: Mount): Express {
  const fixture = conformanceFixture()
  const app = express()
  app.disable('etag')
  app.get('/__count', (_, response) => void response.type('text').send(String(fixture.count)))
  app.use(
    express.json({
      limit: BODY_LIMIT,
      verify: (request, _, body) => void Object.assign(request, { rawBody: body }),
    }),
  )
  for (const layer of layers) {
    if (mountedOn === 'POST') app.post('/{*every}', layer)
    else app.use(layer)
  }
  app.all('/effects{/*other}', async (request, response) => {
    send(response, await fixture.answer(JSON.stringify(request.body ?? {})))
  })
  app.use(asProblem)
  return app
}

/** With Express's own methods, since layers record what goes through them; only what is written in pieces does not. */
function send(response: Response, { status, headers, parts }: FixtureAnswer): void {
  response.status(status).set(headers)
  if (parts.length > 1) {
    for (const part of parts) response.write(part)
    response.end()
    return
  }
  const [content] = parts
  if (content === undefined) response.send()
  else if (headers['content-type'] === 'application/octet-stream') response.send(Buffer.from(content))
  else if (headers['content-type'] === 'application/json') response.json(JSON.parse(textOf(content)))
  else response.send(textOf(content))
}

const textOf = (bytes: Uint8Array): string => new TextDecoder().decode(bytes)

/** A layer hands on its refusals as errors, with a status: their form is for the application to choose. */
const asProblem: ErrorRequestHandler = (error: { readonly status?: unknown }, _request, response, next) => {
  if (response.headersSent) return next(error)
  const given = response.statusCode >= 400 ? response.statusCode : Number(error.status ?? 500)
  response.status(given).type('application/problem+json')
  response.send(JSON.stringify({ type: 'about:blank', status: given }))
}
