import { Hono } from 'hono'
import { idempotency, idempotencyOf } from 'holdfast/idempotency/hono'
import { memoryStore } from 'holdfast/stores/memory'

interface Bindings {
  readonly REGION: string
}

const app = new Hono<{ Bindings: Bindings }>()
// Of one isolate: good for a sample. A store that all of them share holds what the API promises.
app.use('/orders', idempotency({ store: memoryStore() }))

let orders = 0
app.post('/orders', async (context) => {
  const { item } = await context.req.json<{ item: string }>()
  // From here on the order may be there: what is thrown now is remembered too.
  idempotencyOf(context).began()
  return context.json({ id: ++orders, item, region: context.env.REGION }, 201)
})

const worker: { fetch: typeof app.fetch } = { fetch: app.fetch }

export default worker
