/** Puts the fast transport in the global fetch's place, so that tests of the client run over it as they are. */
import { Agent } from 'undici'
import { transport } from '../../src/adapters/undici/index.ts'

globalThis.fetch = transport({ dispatcher: new Agent() })
