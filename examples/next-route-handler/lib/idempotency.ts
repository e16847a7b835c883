import { idempotency } from 'holdfast/idempotency'
import { memoryStore } from 'holdfast/stores/memory'

/** Made once, so that all routes share the store; in production one that all instances share. */
export const protect: ReturnType<typeof idempotency> = idempotency({ store: memoryStore() })
