import { builtin } from '../primitives/builtin.ts'
import type { HoldfastEvent } from './events.ts'
import type { OnEvent } from './policy.ts'

/** The channel's name: `diagnostics_channel.subscribe('holdfast:event', listener)`. */
export const CHANNEL_NAME = 'holdfast:event'

/** What we need of a `Channel` of `node:diagnostics_channel`. */
interface Channel {
  readonly hasSubscribers: boolean
  publish(message: unknown): void
}

/** The same of the module. */
interface Channels {
  channel(name: string): Channel
}

const NOBODY: Channel = { hasSubscribers: false, publish() {} }

let channel: Channel | undefined

const open = (): Channel => builtin<Channels>('diagnostics_channel')?.channel?.(CHANNEL_NAME) ?? NOBODY

const publish = (event: HoldfastEvent): void => channel?.publish(event)

/** Publishes events, while somebody has subscribed to the channel; costs next to nothing while nobody has. */
export function diagnosticsListener(): OnEvent | undefined {
  channel ??= open()
  return channel.hasSubscribers ? publish : undefined
}
