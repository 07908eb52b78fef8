/** A power driver's parameters as options of the command line: `--cipher-suite 17` for `cipherSuite`, checked against the schema that the API gives. */
import { createInterface } from 'node:readline'
import { Writable } from 'node:stream'
import type { Client } from './client.ts'
import { Failure } from './failure.ts'
import type { Io, Session } from './session.ts'

/** One field of the driver's JSON Schema, as far as it is shown. */
export interface Field { readonly type?: string, readonly title?: string, readonly description?: string, readonly default?: unknown, readonly writeOnly?: boolean, readonly anyOf?: readonly (Field & { readonly const?: unknown })[], readonly enum?: readonly unknown[], readonly const?: unknown }
export interface Driver {
  readonly name: string, readonly title: string, readonly capabilities: readonly string[], readonly experimental: string | null
  readonly parameters: { readonly properties: Readonly<Record<string, Field>>, readonly required?: readonly string[] }
}

export const flagOf = (name: string): string => `--${name.replace(/[A-Z]/g, letter => `-${letter.toLowerCase()}`)}`
/** The driver of that name. Failure, naming those there are. */
export async function findDriver (client: Client, name: string): Promise<Driver> {
  const { items } = await client.get<{ readonly items: readonly Driver[] }>('/power/drivers')
  const driver = items.find(one => one.name === name)
  if (driver === undefined) throw new Failure(`There is no power driver ${name}; there are ${items.map(one => one.name).join(', ')}.`, { code: 'NOT_FOUND' })
  return driver
}
/** The driver a BMC's address begins with: `ipmi://…`, `redfish+https://…`. */
export const schemeOf = (address: string | undefined): string | undefined => {
  const scheme = /^([a-z]+)(?:\+[a-z]+)?:\/\//i.exec(address ?? '')?.[1]?.toLowerCase()
  return scheme === 'http' || scheme === 'https' ? undefined : scheme
}

const kinds = (field: Field): readonly (string | undefined)[] => field.anyOf === undefined ? [field.type ?? typeof field.const] : field.anyOf.flatMap(kinds)
/** Numbers and yes or no as such, where the field takes them; the rest stays text, and the region says what is wrong with it. */
export function valueOf (field: Field, text: string): unknown {
  const types = kinds(field)
  if (types.includes('string') && !(field.anyOf?.some(one => one.const !== undefined) === true)) return text
  if ((types.includes('integer') || types.includes('number')) && /^-?\d+(\.\d+)?$/.test(text)) return Number(text)
  if (types.includes('boolean') && (text === 'true' || text === 'false')) return text === 'true'
  return text
}

const isOption = (word: string): boolean => /^--[a-z]/i.test(word) // not the first line of a key, -----BEGIN …
/** Takes words apart into what is no option, and options with their values; an option at the end, or before another, is a yes. */
export function sortOut (words: readonly string[]): { readonly plain: readonly string[], readonly options: readonly (readonly [name: string, value: string])[] } {
  const [plain, options, rest]: [string[], [string, string][], string[]] = [[], [], [...words]]
  for (let word = rest.shift(); word !== undefined; word = rest.shift()) {
    if (!isOption(word)) { plain.push(word); continue }
    const at = word.indexOf('=')
    if (at > 0) options.push([word.slice(0, at), word.slice(at + 1)])
    else options.push([word, rest[0] === undefined || isOption(rest[0]) ? 'true' : rest.shift() ?? 'true'])
  }
  return { plain, options }
}

/** The parameters as the region takes them. Failure naming the options there are, when one is not among them. */
export function readParameters (driver: Driver, options: readonly (readonly [name: string, value: string])[]): Record<string, unknown> {
  const { properties } = driver.parameters
  return Object.fromEntries(options.map(([option, text]) => {
    const entry = Object.entries(properties).find(([name]) => option === flagOf(name) || option === `--${name}` || option === name)
    if (entry === undefined) throw new Failure(`The driver ${driver.name} has no ${option}; it has ${Object.keys(properties).map(flagOf).join(', ') || 'no parameters'}. "bedplate bmc driver ${driver.name}" explains them.`, { exitCode: 2 })
    return [entry[0], valueOf(entry[1], text)]
  }))
}

/** Secrets given as `-` are asked for; a password not given comes from BEDPLATE_BMC_PASSWORD, where that is set. Neither is left in the shell's history. */
export async function withSecrets ({ env, io }: Pick<Session, 'env' | 'io'>, driver: Driver, parameters: Readonly<Record<string, unknown>>): Promise<Record<string, unknown>> {
  const all = { ...parameters }
  for (const [name, field] of Object.entries(driver.parameters.properties)) {
    if (field.writeOnly !== true) continue
    if (all[name] === '-') all[name] = await askSecret(io, field.title ?? name)
    else if (name === 'password' && all[name] === undefined && env.BEDPLATE_BMC_PASSWORD) all[name] = env.BEDPLATE_BMC_PASSWORD
  }
  return all
}

/** One line of standard input; from a terminal after a question, without showing what is typed. */
export async function askSecret ({ stdin, stderr, signal }: Io, question: string): Promise<string> {
  if (stdin === undefined) throw new Failure('There is no standard input to read it from.', { exitCode: 2 })
  const terminal = 'isTTY' in stdin && stdin.isTTY === true
  if (terminal) stderr.write(`${question}: `)
  const lines = createInterface({ input: stdin, output: new Writable({ write (_chunk, _encoding, done) { done() } }), terminal, ...signal === undefined ? {} : { signal } })
  lines.once('SIGINT', () => { lines.close() })
  try {
    const line = await new Promise<string | undefined>(resolve => { lines.once('line', resolve); lines.once('close', () => { resolve(undefined) }) })
    if (line === undefined || line === '') throw new Failure('Nothing was given.', { exitCode: 2 })
    return line
  } finally {
    lines.close()
    if (terminal) stderr.write('\n')
  }
}
