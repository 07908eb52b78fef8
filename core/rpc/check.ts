/** Checks values against schemas, compiled once each. Pure. */
import type { TSchema } from 'typebox'
import { Compile } from 'typebox/compile'
import { reasonOf } from '../errors.ts'

interface Compiled { Check(value: unknown): boolean, Errors(value: unknown): readonly { readonly instancePath: string, readonly message: string }[] }
const compiled = new WeakMap<TSchema, Compiled>()

/** What is wrong with the value, with its path; undefined when nothing is. Never throws. */
export function check (schema: TSchema, value: unknown): string | undefined {
  try {
    let validator = compiled.get(schema)
    if (validator === undefined) compiled.set(schema, validator = Compile(schema) as Compiled)
    if (validator.Check(value)) return undefined
    const faults = validator.Errors(value).slice(0, 3).map(error => `${error.instancePath || '/'} ${error.message}`)
    return faults.join('; ').slice(0, 1000) || 'it does not fit its schema'
  } catch (error) {
    return reasonOf(error).slice(0, 1000)
  }
}
