/** machines: what is provisioned, and the states it goes through. */
import { definePlugin } from '../../core/plugin.ts'
import { manifest } from './manifest.ts'

export default definePlugin({ manifest, region: async () => (await import('./region.ts')).default })
