/** Do the plugins fit together? Every fault in one error, and the order in which halves are set up. Pure. */
import type { ActiveRack, ActiveRegion } from './active.ts'
import { BedplateError } from './errors.ts'
import type { Manifest, Plugin, RackHalf, RegionHalf, Role } from './plugin.ts'
import { Authority, Controllers, Self } from './plugin.ts'
import { isObject } from './schema.ts'
import { settingsSchema } from './settings.ts'

/** One half of a plugin, loaded for a role this controller has. */
export type Half = { readonly manifest: Manifest } & (
  | { readonly role: 'region', readonly half: RegionHalf }
  | { readonly role: 'rack', readonly half: RackHalf })

export const halfName = (of: { readonly manifest: Manifest, readonly role: Role }): string => `${of.manifest.name} (${of.role})`

const kebab = /^[a-z][a-z0-9]*(-[a-z0-9]+)*$/
const camel = /^[a-z][A-Za-z0-9]*$/
const fromCore: Readonly<Record<Role, readonly string[]>> = { region: [Self.id, Controllers.id, Authority.id], rack: [Self.id] }
const tokenId = /^[a-z][A-Za-z0-9-]*\.[a-z][A-Za-z0-9-]*$/

/**
 * Checks names, tokens and cycles. Returns the halves, region before rack, each after those it requires, else in list order.
 * `without`: the built-in plugins the configuration leaves out, to name them where they are missed.
 * Throws GRAPH_INVALID naming every fault.
 */
export function checkGraph (plugins: readonly Plugin[], halves: readonly Half[], without: readonly string[] = []): readonly Half[] {
  const problems = [...manifestProblems(plugins.map(plugin => plugin.manifest))]
  const ordered = (['region', 'rack'] as const).flatMap(role => orderOf(role, halves.filter(half => half.role === role), halves, { plugins, without }, problems))
  refuse(problems)
  return ordered
}

interface Listed { readonly plugins: readonly Plugin[], readonly without: readonly string[] }

export function * manifestProblems (manifests: readonly Manifest[]): Generator<string> {
  const seen = new Set<string>()
  for (const { name, rpc, wanted, facts } of manifests) {
    if (!kebab.test(name)) yield `plugin "${name}": a name is kebab-case, starting with a letter`
    if (name === 'core' || Object.hasOwn(settingsSchema.properties, name)) yield `plugin "${name}": the name belongs to the core`
    if (seen.has(name)) yield `plugin "${name}": listed twice`
    seen.add(name)
    for (const method of Object.keys(rpc)) if (!camel.test(method)) yield `${name}: method "${method}" is not camelCase`
    for (const kind of [...Object.keys(wanted), ...Object.keys(facts)]) if (!/^[a-z][A-Za-z0-9-]*$/.test(kind)) yield `${name}: kind "${kind}" is not a plain name`
  }
}

function orderOf (role: Role, halves: readonly Half[], all: readonly Half[], listed: Listed, problems: string[]): Half[] {
  const providers = new Map<string, Half>()
  for (const half of halves) {
    for (const { id } of Object.values(half.half.provides)) {
      if (!tokenId.test(id)) problems.push(`${halfName(half)}: token "${id}" is not <plugin>.<noun>`)
      if (id.startsWith('core.')) problems.push(`token "${id}": provided by ${halfName(half)}, but the name belongs to the core`)
      const other = providers.get(id)
      if (other !== undefined) problems.push(`token "${id}": provided by both ${halfName(other)} and ${halfName(half)}`)
      else providers.set(id, half)
    }
  }
  const ordered: Half[] = []
  const state = new Map<Half, 'open' | 'done'>()
  const visit = (half: Half, path: readonly string[]): void => {
    if (state.get(half) === 'done') return
    const here = [...path, halfName(half)]
    if (state.get(half) === 'open') { problems.push(`cycle: ${here.slice(here.indexOf(halfName(half))).join(' → ')}`); return }
    state.set(half, 'open')
    for (const { id } of Object.values(half.half.requires)) {
      if (fromCore[role].includes(id)) continue
      const provider = providers.get(id)
      if (provider !== undefined) visit(provider, [...here, id])
      else problems.push(`token "${id}": required by ${halfName(half)}, provided by no ${role} half${elsewhere(id, role, all, listed)}`)
    }
    state.set(half, 'done')
    ordered.push(half)
  }
  for (const half of halves) visit(half, [])
  return ordered
}

/** Where a missing token might come from: the other role's half, loaded or not (its plugin is the token's first word). */
function elsewhere (id: string, role: Role, all: readonly Half[], { plugins, without }: Listed): string {
  const other: Role = role === 'region' ? 'rack' : 'region'
  const loaded = all.find(half => half.role === other && Object.values(half.half.provides).some(token => token.id === id))
  if (loaded !== undefined) return `; ${halfName(loaded)} has it, but the ${role} gets it only by a call, a fact or wanted state`
  if (fromCore[other].includes(id)) return `; the core provides it to a ${other} alone`
  const name = id.split('.')[0] ?? ''
  const owner = plugins.find(plugin => plugin.manifest.name === name)
  if (owner === undefined) return without.includes(name) ? `; the plugin "${name}" is left out by the setting "without"` : `; no plugin "${name}" is listed`
  return owner[other] !== undefined && owner[role] === undefined ? `; ${owner.manifest.name} has only a ${other} half` : ''
}

/** What only setup tells: each declared method answered, each answer declared, wanted state and facts handled, names distinct. Throws GRAPH_INVALID. */
export function checkRunning (regions: readonly ActiveRegion[], racks: readonly ActiveRack[]): void {
  const problems: string[] = []
  for (const { manifest, running } of regions) {
    const name = halfName({ manifest, role: 'region' })
    if (!isRunning(running)) { problems.push(shapeless(name)); continue }
    problems.push(...sharedProblems(name, manifest, 'region', running))
    if (Object.keys(manifest.wanted).length > 0 && running.wanted === undefined) problems.push(`${name}: the manifest has wanted kinds (${Object.keys(manifest.wanted).join(', ')}), but there is no wanted()`)
    if (Object.keys(manifest.facts).length > 0 && running.facts === undefined) problems.push(`${name}: the manifest has facts (${Object.keys(manifest.facts).join(', ')}), but there is no facts()`)
  }
  for (const { manifest, running } of racks) {
    const name = halfName({ manifest, role: 'rack' })
    if (!isRunning(running)) { problems.push(shapeless(name)); continue }
    problems.push(...sharedProblems(name, manifest, 'rack', running))
    if (Object.keys(manifest.wanted).length > 0 && running.apply === undefined) problems.push(`${name}: the manifest has wanted kinds (${Object.keys(manifest.wanted).join(', ')}), but there is no apply()`)
    for (const service of running.services) if (service.on === 'leader') problems.push(`${name}: service "${service.name}" asks for leadership, which only regions have`)
  }
  refuse(problems)
}

// The compiler says so for what it has seen; a plugin from outside may be plain JavaScript.
const isRunning = (running: unknown): boolean =>
  isObject(running) && isObject(running.provides) && isObject(running.rpc) && Array.isArray(running.services) && running.services.every(service => isObject(service) && ['start', 'stop', 'health'].every(key => typeof service[key] === 'function'))
const shapeless = (name: string): string => `${name}: setup must return, at once, { provides, rpc, services }, each service with name, start, stop and health`

function * sharedProblems (name: string, manifest: Manifest, role: Role, running: ActiveRegion['running'] | ActiveRack['running']): Generator<string> {
  const declared = Object.entries(manifest.rpc).filter(([, method]) => method.answeredBy === role).map(([method]) => method)
  const answered = Object.keys(running.rpc)
  for (const method of declared) if (!answered.includes(method)) yield `${name}: method "${method}" has no handler`
  for (const method of answered) if (!declared.includes(method)) yield `${name}: handler "${method}" is not declared for the ${role} in the manifest`
  const seen = new Set<string>()
  for (const service of running.services) {
    if (!/^[a-z0-9][\w.:-]*$/i.test(service.name)) yield `${name}: service name "${service.name}" is not one plain word`
    if (seen.has(service.name)) yield `${name}: two services are called "${service.name}"`
    seen.add(service.name)
  }
}

function refuse (problems: readonly string[]): void {
  if (problems.length > 0) throw new BedplateError('GRAPH_INVALID', { problems: [...new Set(problems)].map(problem => `  ${problem}`).join('\n') })
}
