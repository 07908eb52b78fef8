/** The configuration: defaults, then the YAML file, then BEDPLATE_…, then flags. Strict: every problem in one error, each with its JSON path. */
import { readFile } from 'node:fs/promises'
import { homedir } from 'node:os'
import { join } from 'node:path'
import type { TSchema } from 'typebox'
import { Value } from 'typebox/value'
import { parse } from 'yaml'
import { BedplateError, reasonOf } from './errors.ts'
import type { Manifest } from './plugin.ts'
import { asFlag, asVariable, isObject, leaves, nearest, unknownKeys, withDefaults } from './schema.ts'
import { settingsSchema } from './settings.ts'
import type { Settings } from './settings.ts'

/** The configuration as read: frozen all the way down. */
export interface Config {
  readonly core: Settings
  readonly plugins: Readonly<Record<string, Readonly<Record<string, unknown>>>>
}

export interface ConfigSources {
  /** Path of a YAML file. */
  readonly file?: string | undefined
  /** Values as the file would give them; the file's win. */
  readonly values?: Readonly<Record<string, unknown>>
  readonly env?: Readonly<Record<string, string | undefined>>
  /** `http-port` → `5240`. */
  readonly flags?: Readonly<Record<string, string>>
}

type Json = Record<string, unknown>
type Schemas = Readonly<Record<string, TSchema>>
const rootOf = (schemas: Schemas, required: readonly string[]) => ({ type: 'object', properties: schemas, required })

/** Reads and checks everything at once. Throws CONFIG_INVALID with one line for each problem. */
export async function readConfig (manifests: readonly Manifest[], sources: ConfigSources): Promise<Config> {
  const problems: string[] = []
  const schemas: Record<string, TSchema> = { ...settingsSchema.properties }
  for (const { name, config } of manifests) schemas[name] = config
  const root = rootOf(schemas, [...(settingsSchema as { required?: string[] }).required ?? [], ...manifests.map(m => m.name)])

  const given = await fileOf(sources, problems)
  const from = overlay(given, root, sources, problems)
  if (given.dataDirectory === undefined) given.dataDirectory = defaultDataDirectory(sources.env ?? {})

  const value = withDefaults(root, given) as Json
  const without = Array.isArray(given.without) ? given.without : []
  const unknown = unknownKeys(root, given)
  for (const [path, hint] of unknown) {
    const why = path.length === 1 && without.includes(path[0]) ? '; $.without leaves that plugin out' : hint === undefined ? '' : `; did you mean ${hint}?`
    problems.push(`${jsonPath(path)}: unknown key${why}`)
  }
  problems.push(...faults(schemas, value, from, new Set(unknown.map(([path]) => path.join('\0')))))
  refuse(problems)

  const core: Json = {}
  for (const key of Object.keys(settingsSchema.properties)) if (value[key] !== undefined) core[key] = value[key]
  const plugins = Object.fromEntries(manifests.map(m => [m.name, value[m.name] as Json]))
  return freeze({ core: core as Settings, plugins }) // checked against the schema above
}

/**
 * Which plugins there are to be: read before everything else, because each plugin brings its own part of the schema.
 * Throws CONFIG_INVALID for a file that cannot be read and for these two settings; whatever else is wrong readConfig tells.
 */
export async function readSelection (sources: ConfigSources): Promise<Pick<Settings, 'plugins' | 'without'>> {
  const { plugins, without } = settingsSchema.properties
  const schemas = { plugins, without }
  const problems: string[] = []
  const root = rootOf(schemas, Object.keys(schemas))
  const given = await fileOf(sources, problems)
  const from = overlay(given, root, sources, [])
  const value = withDefaults(root, given) as Settings
  problems.push(...faults(schemas, value, from))
  refuse(problems)
  return freeze({ plugins: value.plugins, without: value.without })
}

async function fileOf (sources: ConfigSources, problems: string[]): Promise<Json> {
  const given = structuredClone({ ...sources.values }) as Json
  if (sources.file !== undefined) merge(given, await readYaml(sources.file, problems))
  return given
}

function * faults (schemas: Schemas, value: Json, from: ReadonlyMap<string, string>, told: ReadonlySet<string> = new Set()): Generator<string> {
  for (const [name, schema] of Object.entries(schemas)) {
    if (value[name] === undefined) continue
    for (const error of Value.Errors(schema, value[name])) {
      if (error.keyword === 'additionalProperties' || error.keyword === 'unevaluatedProperties') continue // told above, with a hint
      const path = [name, ...error.instancePath.split('/').slice(1).map(part => part.replaceAll('~1', '/').replaceAll('~0', '~'))]
      if (told.has(path.join('\0'))) continue // "schema is false" of a closed object
      const source = from.get(path.join('.'))
      yield `${jsonPath(path)}${source === undefined ? '' : ` (from ${source})`}: ${messageOf(error)}`
    }
  }
}

function refuse (problems: readonly string[]): void {
  if (problems.length > 0) throw new BedplateError('CONFIG_INVALID', { problems: [...new Set(problems)].map(problem => `  ${problem}`).join('\n') })
}

async function readYaml (file: string, problems: string[]): Promise<Json> {
  try {
    const document: unknown = parse(await readFile(file, 'utf8')) ?? {}
    if (isObject(document)) return document
    problems.push(`$: ${file} must hold keys and values`)
  } catch (error) {
    problems.push(`$: ${file} cannot be read: ${reasonOf(error)}`)
  }
  return {}
}

/** Lays environment and flags over `given`. Returns which source each value came from. */
function overlay (given: Json, root: TSchema, sources: ConfigSources, problems: string[]): Map<string, string> {
  const from = new Map<string, string>()
  const all = leaves(root)
  const variables = new Map(all.map(leaf => [asVariable(leaf.path), leaf]))
  const flags = new Map(all.map(leaf => [asFlag(leaf.path), leaf]))
  const put = (path: readonly string[], schema: TSchema, text: string, source: string) => {
    let at = given
    for (const part of path.slice(0, -1)) at = (isObject(at[part]) ? at[part] : (at[part] = {})) as Json
    at[path.at(-1) ?? ''] = valueOf(schema, text)
    from.set(path.join('.'), source)
  }
  for (const [name, text] of Object.entries(sources.env ?? {})) {
    if (!name.startsWith('BEDPLATE_') || text === undefined) continue
    const leaf = variables.get(name)
    if (leaf !== undefined) { put(leaf.path, leaf.schema, text, name); continue }
    // Other programs' variables share the prefix (BEDPLATE_URL of the command line), so only what looks misspelt is a fault.
    const near = nearest(name, [...variables.keys()])
    if (near !== undefined) problems.push(`${name}: no such setting; did you mean ${near}?`)
  }
  for (const [name, text] of Object.entries(sources.flags ?? {})) {
    const leaf = flags.get(name)
    if (leaf !== undefined) { put(leaf.path, leaf.schema, text, `--${name}`); continue }
    const near = nearest(name, [...flags.keys()])
    problems.push(`--${name}: no such setting${near === undefined ? '' : `; did you mean --${near}?`}`)
  }
  return from
}

/** Reads one text as its schema wants it; what does not fit stays text and is told by the check. */
function valueOf (schema: TSchema, text: string): unknown {
  const type = (schema as { type?: unknown }).type
  if (type === 'string' || (schema as { enum?: unknown }).enum !== undefined) return text
  if (type === 'integer' || type === 'number') return text.trim() !== '' && Number.isFinite(Number(text)) ? Number(text) : text
  if (type === 'boolean') return text === 'true' || text === '' ? true : text === 'false' ? false : text
  if (type === 'array' && !text.trim().startsWith('[')) {
    const items = (schema as { items?: TSchema }).items ?? {}
    return text.split(',').map(part => part.trim()).filter(part => part !== '').map(part => valueOf(items, part))
  }
  try { return parse(text) } catch { return text }
}

function defaultDataDirectory (env: Readonly<Record<string, string | undefined>>): string {
  if (process.getuid?.() === 0) return '/var/lib/bedplate'
  return join(env.XDG_STATE_HOME || join(homedir(), '.local', 'state'), 'bedplate')
}

function merge (into: Json, from: Json): void {
  for (const [key, value] of Object.entries(from)) {
    if (key === '__proto__') continue
    const old = into[key]
    if (isObject(old) && isObject(value)) merge(old, value)
    else into[key] = value
  }
}

function messageOf (error: { keyword: string, message: string, params: object }): string {
  const params = error.params as { allowedValues?: unknown[], requiredProperties?: string[] }
  if (error.keyword === 'enum' && params.allowedValues !== undefined) return `must be one of ${params.allowedValues.join(', ')}`
  return error.message
}

const jsonPath = (path: readonly string[]): string => '$' + path.map(part => /^\d+$/.test(part) ? `[${part}]` : /^[A-Za-z_][\w-]*$/.test(part) ? `.${part}` : `[${JSON.stringify(part)}]`).join('')

function freeze<T> (value: T): T {
  if (typeof value === 'object' && value !== null && !Object.isFrozen(value)) {
    Object.freeze(value)
    for (const part of Object.values(value)) freeze(part)
  }
  return value
}
