/** The plugin `traffic`: the steady load of the availability run, loaded from outside the tree as any other would be. */
import { definePlugin } from '../../../core/plugin.ts'
import { manifest } from './manifest.ts'

export default definePlugin({
  manifest,
  region: async () => (await import('./region.ts')).default,
  rack: async () => (await import('./rack.ts')).default
})
