/** Walks over JSON schemas: defaults, unknown keys, leaves and the names they have in the environment and on the command line. Pure. */
import type { TSchema } from 'typebox'

interface ObjectSchema { readonly type: 'object', readonly properties: Readonly<Record<string, TSchema>>, readonly required?: readonly string[], readonly additionalProperties?: unknown, readonly patternProperties?: unknown }
export interface Leaf { readonly path: readonly string[], readonly schema: TSchema }

export const isObject = (value: unknown): value is Record<string, unknown> => typeof value === 'object' && value !== null && !Array.isArray(value)
const isObjectSchema = (schema: unknown): schema is ObjectSchema => isObject(schema) && schema.type === 'object' && isObject(schema.properties)
const open = (schema: ObjectSchema): boolean => (schema.additionalProperties !== undefined && schema.additionalProperties !== false) || schema.patternProperties !== undefined

/** `value` with the schema's defaults where nothing is given. Required objects are made, optional ones only completed. */
export function withDefaults (schema: unknown, value: unknown): unknown {
  if (value === undefined && isObject(schema) && schema.default !== undefined) return withDefaults(schema, structuredClone(schema.default))
  if (isObjectSchema(schema)) {
    if (value !== undefined && !isObject(value)) return value
    const result: Record<string, unknown> = { ...value }
    for (const [key, part] of Object.entries(schema.properties)) {
      const own = Object.hasOwn(result, key) ? result[key] : undefined
      const needed = schema.required?.includes(key) ?? false
      const filled = own === undefined && !needed && (part as { default?: unknown }).default === undefined ? undefined : withDefaults(part, own)
      if (filled !== undefined) result[key] = filled
    }
    return result
  }
  if (Array.isArray(value) && isObject(schema) && isObject(schema.items)) return value.map(item => withDefaults(schema.items, item))
  return value
}

/** Paths of keys the schema does not know, each with the nearest known one. */
export function unknownKeys (schema: unknown, value: unknown, at: readonly string[] = []): [path: readonly string[], hint: string | undefined][] {
  if (Array.isArray(value)) return value.flatMap((item, index) => isObject(schema) ? unknownKeys(schema.items, item, [...at, String(index)]) : [])
  if (!isObjectSchema(schema) || !isObject(value)) return []
  const known = Object.keys(schema.properties)
  return Object.entries(value).flatMap(([key, part]): [readonly string[], string | undefined][] => {
    if (Object.hasOwn(schema.properties, key)) return unknownKeys(schema.properties[key], part, [...at, key])
    return open(schema) ? [] : [[[...at, key], nearest(key, known)]]
  })
}

/** Every setting below objects with fixed keys. */
export function leaves (schema: unknown, path: readonly string[] = []): Leaf[] {
  if (isObjectSchema(schema) && !open(schema)) return Object.entries(schema.properties).flatMap(([key, part]) => leaves(part, [...path, key]))
  return isObject(schema) ? [{ path, schema: schema as TSchema }] : []
}

const words = (path: readonly string[]): string[] => path.flatMap(part => part.replace(/([a-z0-9])([A-Z])/g, '$1-$2').split('-'))
/** `rackHttp.port` → `BEDPLATE_RACK_HTTP_PORT`. */
export const asVariable = (path: readonly string[]): string => `BEDPLATE_${words(path).join('_').toUpperCase()}`
/** `rackHttp.port` → `rack-http-port`. */
export const asFlag = (path: readonly string[]): string => words(path).join('-').toLowerCase()

/** The known name a misspelt one probably means: at most a third of it differs. */
export function nearest (name: string, known: readonly string[]): string | undefined {
  const limit = Math.min(3, Math.max(1, Math.floor(name.length / 3)))
  let best: string | undefined
  let least = limit + 1
  for (const candidate of known) {
    const steps = distance(name.toLowerCase(), candidate.toLowerCase())
    if (steps < least) { best = candidate; least = steps }
  }
  return best
}

/** Edits between two words; two neighbours swapped count as one, the commonest slip. */
function distance (a: string, b: string): number {
  const rows: number[][] = [Array.from({ length: b.length + 1 }, (_, index) => index)]
  const cell = (i: number, j: number): number => rows[i]?.[j] ?? 0
  for (let i = 1; i <= a.length; i++) {
    const row = [i]
    rows.push(row)
    for (let j = 1; j <= b.length; j++) {
      const same = a[i - 1] === b[j - 1] ? 0 : 1
      let steps = Math.min(cell(i - 1, j) + 1, cell(i, j - 1) + 1, cell(i - 1, j - 1) + same)
      if (i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1]) steps = Math.min(steps, cell(i - 2, j - 2) + 1)
      row.push(steps)
    }
  }
  return cell(a.length, b.length)
}
