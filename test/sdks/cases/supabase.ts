import { createClient, type SupabaseClient } from '@supabase/supabase-js'
import { defineSdk, type Sdk } from '../sdk.ts'

const rest = {
  auth: { persistSession: false, autoRefreshToken: false },
  // Nothing here opens a socket; but Node 20 has none, and that is refused at construction.
  realtime: { transport: globalThis.WebSocket ?? EventTarget },
}

export const supabase: Sdk = defineSdk({
  name: '@supabase/supabase-js',
  api: () => Response.json({ id: 'o-17' }),
  plugged: (fetch, url): SupabaseClient =>
    createClient(url, 'key-17', {
      global: { fetch },
      db: { retry: false },
      ...rest,
    }),
  asItComes: (fetch, url) => createClient(url, 'key-17', { global: { fetch }, ...rest }),
  ownAttempts: 4,
  errorIn: 'error',
  // Without throwOnError() an error is returned, as text.
  read: async (client) => {
    const { data } = await client.from('orders').select().eq('id', 'o-17').single().throwOnError()
    return data.id
  },
  write: async (client) => {
    const { data } = await client.from('orders').insert({ item: 'anchor' }).select().single().throwOnError()
    return data.id
  },
})
