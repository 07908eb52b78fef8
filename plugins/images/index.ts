/** images: kernels, initrds and root file systems, stored once, content-addressed, on every rack. */
import { definePlugin } from '../../core/plugin.ts'
import { manifest } from './manifest.ts'

export default definePlugin({
  manifest,
  region: async () => (await import('./region.ts')).default,
  rack: async () => (await import('./rack.ts')).default
})
