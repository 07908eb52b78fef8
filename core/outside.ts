/** Plugins from outside the tree: found by package name or path, imported, and held against the contract before anything else happens. */
import { existsSync, readFileSync, realpathSync, statSync } from 'node:fs'
import { isAbsolute, join, resolve } from 'node:path'
import { pathToFileURL } from 'node:url'
import type { Clock } from './clock.ts'
import { withDeadline } from './deadline.ts'
import { BedplateError, reasonOf } from './errors.ts'
import { manifestProblems } from './graph.ts'
import { lendContract } from './lend.ts'
import type { Plugin } from './plugin.ts'
import { isObject, nearest } from './schema.ts'

export interface Selection { readonly plugins: readonly string[], readonly without: readonly string[] }
export interface Selecting {
  /** Folders names are resolved from, in this order; paths only from the first: the configuration file's. */
  readonly from: readonly [string, ...string[]]
  readonly clock: Clock
  readonly patience?: number // ms one import may take, default 30,000
}

/** The built-in plugins but those left out, then the ones named, in order. Throws PLUGIN_UNUSABLE with a line for each fault, which names the package and says what to do. */
export async function selectPlugins (builtIn: readonly Plugin[], { plugins: named, without }: Selection, options: Selecting): Promise<readonly Plugin[]> {
  const problems: string[] = []
  const names = builtIn.map(({ manifest }) => manifest.name)
  for (const name of without) {
    const near = nearest(name, names)
    if (!names.includes(name)) problems.push(`without: there is no built-in plugin "${name}"; ${near === undefined ? `there are ${names.join(', ')}` : `did you mean ${near}?`}`)
  }
  const chosen = builtIn.filter(({ manifest }) => !without.includes(manifest.name))
  if (named.length > 0) lendContract()
  for (const name of named) {
    try {
      const plugin = await importPlugin(name, options)
      const own = plugin.manifest.name
      const faults = [...manifestProblems([plugin.manifest])]
      if (chosen.some(({ manifest }) => manifest.name === own)) faults.push(`its name "${own}" is taken${names.includes(own) ? ` by a built-in plugin: leave that one out (without: [${own}]), or rename this one` : ' by another plugin: name only one of them'}`)
      else chosen.push(plugin)
      problems.push(...faults.map(fault => `${name}: ${fault}`))
    } catch (error) {
      problems.push(`${name}: ${reasonOf(error)}`)
    }
  }
  if (problems.length > 0) throw new BedplateError('PLUGIN_UNUSABLE', { problems: problems.map(problem => `  ${problem}`).join('\n') })
  return chosen
}

/** Throws TypeError and whatever the import throws; the message says what to do. */
async function importPlugin (name: string, { from, clock, patience = 30_000 }: Selecting): Promise<Plugin> {
  const file = entryOf(name, from)
  let module: { readonly default?: unknown } = {}
  await withDeadline(clock, patience, 'START_TIMEOUT', `the import of ${file}`, async () => { module = await import(pathToFileURL(file).href) as { default?: unknown } }).catch((error: unknown) => {
    throw new TypeError(advice(error, file), { cause: error })
  })
  const faults = [...shapeProblems(module.default)]
  if (faults.length > 0) throw new TypeError(`${faults.join('; ')} (in ${file})`)
  return module.default as Plugin // as far as a check can tell
}

function advice (error: unknown, file: string): string {
  const code = isObject(error) ? error.code : undefined
  if (code === 'ERR_UNSUPPORTED_NODE_MODULES_TYPE_STRIPPING') return `${file} is TypeScript, which Node does not run below node_modules: publish it as JavaScript, or name the plugin by a path outside node_modules`
  if (code === 'ERR_MODULE_NOT_FOUND') return `it imports what is not there: ${reasonOf(error)}. Install its dependencies ("npm install" where the package is)`
  if (error instanceof BedplateError && error.code === 'START_TIMEOUT') return `${error.message} Importing a plugin must do nothing; move what it waits for into start().`
  return `it failed while it was imported: ${reasonOf(error)} (${file}). Importing a plugin must do nothing; see docs/guides/plugins.md`
}

/** The file to import. Throws TypeError when there is none. */
function entryOf (name: string, from: readonly [string, ...string[]]): string {
  const path = isAbsolute(name) || /^\.\.?(\/|$)/.test(name) ? resolve(from[0], name) : from.map(folder => packageAbove(folder, name)).find(found => found !== undefined)
  if (path === undefined) throw new TypeError(`there is no such package in ${from.map(folder => join(folder, 'node_modules')).join(', ')} or above: run "npm install ${name}" in ${from[0]}, or name the plugin by its path (${resolve(from[0], 'plugin')}, or ./plugin)`)
  if (!existsSync(path)) throw new TypeError(`${path} does not exist; a relative path begins at ${from[0]}`)
  const real = realpathSync(path) // as Node has it: a linked package is where its files are
  if (!statSync(real).isDirectory()) return real
  const candidates = [declared(real), 'index.ts', 'index.js'].flatMap(file => file === undefined ? [] : [join(real, file)])
  const entry = candidates.find(file => existsSync(file))
  if (entry === undefined) throw new TypeError(`${real} has none of the files a plugin begins with: ${candidates.join(', ')}`)
  return entry
}

/** The folder of an installed package, by Node's own rule: node_modules here or in a folder above. */
function packageAbove (folder: string, name: string): string | undefined {
  if (!/^(@[\w.~-]+\/)?[\w~-][\w.~-]*$/.test(name)) throw new TypeError(`"${name}" is neither a package name nor a path; a relative path begins with ./ or ../`)
  for (let at = folder; ; at = resolve(at, '..')) {
    const path = join(at, 'node_modules', name)
    if (existsSync(path)) return path
    if (at === resolve(at, '..')) return undefined
  }
}

/** The entry its package.json declares: "exports" first, then "main". */
function declared (folder: string): string | undefined {
  const path = join(folder, 'package.json')
  if (!existsSync(path)) return undefined
  let fields: unknown
  try { fields = JSON.parse(readFileSync(path, 'utf8')) } catch (cause) { throw new TypeError(`${path} cannot be read: ${reasonOf(cause)}`, { cause }) }
  if (!isObject(fields)) return undefined
  return target(fields.exports) ?? (typeof fields.main === 'string' ? fields.main : undefined)
}

const conditions = new Set(['node', 'import', 'module-sync', 'default'])
function target (exported: unknown): string | undefined {
  if (typeof exported === 'string') return exported
  if (Array.isArray(exported)) return exported.map(target).find(found => found !== undefined)
  if (!isObject(exported)) return undefined
  if (Object.hasOwn(exported, '.')) return target(exported['.'])
  return Object.entries(exported).map(([condition, value]) => conditions.has(condition) ? target(value) : undefined).find(found => found !== undefined)
}

/** What keeps a value from being a plugin. The compiler tells those who use it; these are for those who do not. */
function * shapeProblems (value: unknown): Generator<string> {
  if (!isObject(value) || !isObject(value.manifest)) { yield 'its default export is no plugin: export default definePlugin({ manifest, region, rack })'; return }
  const { manifest, region, rack } = value
  if (typeof manifest.name !== 'string') yield 'manifest.name is missing'
  if (!isObject(manifest.config) || manifest.config.type !== 'object' || !isObject(manifest.config.properties)) yield 'manifest.config must be the schema of an object: Type.Object({ … })'
  for (const part of ['rpc', 'wanted', 'facts']) if (!isObject(manifest[part]) || !Object.values(manifest[part]).every(isObject)) yield `manifest.${part} must be an object of ${part === 'rpc' ? 'methods' : 'schemas'}; {} when there are none`
  for (const [method, definition] of Object.entries(isObject(manifest.rpc) ? manifest.rpc : {})) {
    if (isObject(definition) && !(['region', 'rack'].includes(String(definition.answeredBy)) && isObject(definition.params) && isObject(definition.result))) yield `manifest.rpc.${method} needs answeredBy ('region' or 'rack'), params and result`
  }
  if (manifest.migrations !== undefined && !(manifest.migrations instanceof URL && existsSync(manifest.migrations))) yield 'manifest.migrations must be the URL of a folder that is there: new URL(\'./migrations/\', import.meta.url)'
  for (const [role, half] of [['region', region], ['rack', rack]] as const) if (half !== undefined && typeof half !== 'function') yield `${role} must be a function that imports that half`
  if (region === undefined && rack === undefined) yield 'it has neither a region half nor a rack half'
}
