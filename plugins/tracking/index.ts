/** tracking, as plugins.ts names it. */
import { definePlugin } from '../../core/plugin.ts'
import { manifest } from './manifest.ts'

export default definePlugin({
  manifest,
  region: async () => (await import('./region.ts')).default,
  rack: async () => (await import('./rack.ts')).default
})
