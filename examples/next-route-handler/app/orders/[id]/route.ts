import { idempotencyOf } from 'holdfast/idempotency'
import { protect } from '../../../lib/idempotency.ts'

interface Context {
  readonly params: Promise<{ id: string }>
}

const items = new Map<string, string[]>()

/** Adds an item to an order. */
export const POST = protect(async (request: Request, { params }: Context) => {
  const { id } = await params
  const { item } = (await request.json()) as { item: string }
  idempotencyOf(request).began()
  items.set(id, [...(items.get(id) ?? []), item])
  return Response.json({ id, items: items.get(id) }, { status: 201 })
})

export async function GET(_request: Request, { params }: Context): Promise<Response> {
  const { id } = await params
  return Response.json({ id, items: items.get(id) ?? [] })
}
