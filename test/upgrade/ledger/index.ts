/** The plugin `ledger`: what the upgrade is watched with. Loaded from outside the tree, as any other would be; `next/` is what its next version changes. */
import { definePlugin } from '../../../core/plugin.ts'
import { manifest } from './manifest.ts'

export default definePlugin({
  manifest,
  region: async () => (await import('./region.ts')).default,
  rack: async () => (await import('./rack.ts')).default
})
