/** Loads the halves this controller's roles need, and no others. */
import { BedplateError, reasonOf } from './errors.ts'
import type { Half } from './graph.ts'
import type { Plugin, Role } from './plugin.ts'
import { isObject } from './schema.ts'

/** In role order (region first), then list order. Throws START_FAILED naming each half that could not be imported. */
export async function loadHalves (plugins: readonly Plugin[], roles: readonly Role[]): Promise<readonly Half[]> {
  const halves: Half[] = []
  const errors: BedplateError[] = []
  const load = async <T>(name: string, role: Role, half: () => Promise<T>): Promise<T | undefined> => {
    try {
      const loaded: unknown = await half()
      if (isObject(loaded) && isObject(loaded.requires) && isObject(loaded.provides) && typeof loaded.setup === 'function') return loaded as T
      errors.push(new BedplateError('START_FAILED', { what: `Loading ${name} (${role})`, reason: `it gives no half: "${role}" of the plugin must be a function whose promise gives what ${role === 'region' ? 'defineRegion' : 'defineRack'} made` }))
      return undefined
    } catch (cause) {
      errors.push(new BedplateError('START_FAILED', { what: `Loading ${name} (${role})`, reason: reasonOf(cause) }, cause))
      return undefined
    }
  }
  for (const { manifest, region } of plugins) {
    const half = roles.includes('region') && region !== undefined ? await load(manifest.name, 'region', region) : undefined
    if (half !== undefined) halves.push({ role: 'region', manifest, half })
  }
  for (const { manifest, rack } of plugins) {
    const half = roles.includes('rack') && rack !== undefined ? await load(manifest.name, 'rack', rack) : undefined
    if (half !== undefined) halves.push({ role: 'rack', manifest, half })
  }
  if (errors.length === 1 && errors[0] !== undefined) throw errors[0]
  if (errors.length > 0) throw new BedplateError('START_FAILED', { what: 'Bedplate', reason: errors.map(reasonOf).join(' ') }, new AggregateError(errors))
  return halves
}
