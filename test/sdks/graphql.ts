export const ORDER = 'query Order { order { id } }'
export const ADD = 'mutation Add { order(item: "anchor") { id } }'

export interface Data {
  readonly order: { readonly id: string }
}

export const answer = (): Response => Response.json({ data: { order: { __typename: 'Order', id: 'o-17' } } })
