import express, { type RequestHandler } from 'express'
import { orderOf, type Asked, type Started } from './subject.ts'

/** The same order in Express, behind a body parser that comes after the layer, or before it. */
export function expressApp(...layers: readonly RequestHandler[]): Started['listener'] {
  const app = express()
  app.disable('x-powered-by')
  app.disable('etag')
  app.use(express.json({ verify: (request, _, body) => void Object.assign(request, { rawBody: body }) }))
  for (const layer of layers) app.use(layer)
  app.post('/orders', (request, response) => {
    response.status(201).json(orderOf(request.body as Asked))
  })
  return app
}
