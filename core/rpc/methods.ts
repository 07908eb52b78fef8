/** Remote methods: finding them in the manifests, checking both ways, and errors that keep their code across a link. */
import { BedplateError, errorCodes, reasonOf, type ErrorCode } from '../errors.ts'
import type { Caller, Manifest, Method, Role } from '../plugin.ts'
import { check } from './check.ts'
import type { WireError } from './frames.ts'

/** A half that answers calls; the core's own methods come as one too. */
export interface Answering { readonly manifest: Pick<Manifest, 'name' | 'rpc'>, readonly running: { readonly rpc: unknown } }
type Handler = (params: unknown, caller: Caller) => Promise<unknown>

export const defaultTimeout = 10_000 // ms
const invalid = (method: string, reason: string) => new BedplateError('CALL_INVALID', { method, reason })

/** The method's definition. Throws CALL_INVALID when there is no such method that `role` answers. */
export function methodOf (halves: readonly { readonly manifest: Pick<Manifest, 'name' | 'rpc'> }[], plugin: string, name: string, role: Role): Method {
  const manifest = halves.find(half => half.manifest.name === plugin)?.manifest
  if (manifest === undefined) throw invalid(`${plugin}.${name}`, `the plugin ${plugin} does not run here`)
  const method = Object.hasOwn(manifest.rpc, name) ? manifest.rpc[name] : undefined
  if (method?.answeredBy !== role) throw invalid(`${plugin}.${name}`, `no ${role} answers such a method`)
  return method
}

/** Throws CALL_INVALID when the parameters do not fit. */
export function checkParams (method: Method, label: string, params: unknown): void {
  const fault = check(method.params, params)
  if (fault !== undefined) throw invalid(label, `parameters: ${fault}`)
}

/** Throws CALL_FAILED when the result does not fit. */
export function checkResult (method: Method, label: string, controller: string, result: unknown): void {
  const fault = check(method.result, result)
  if (fault !== undefined) throw new BedplateError('CALL_FAILED', { method: label, controller, reason: `its result is not valid: ${fault}` })
}

/** Answers one call with the half that has the method; checks parameters and result. */
export async function answerCall (halves: readonly Answering[], role: Role, call: { readonly plugin: string, readonly method: string, readonly params?: unknown }, caller: Caller, self: string): Promise<unknown> {
  const label = `${call.plugin}.${call.method}`
  const method = methodOf(halves, call.plugin, call.method, role)
  checkParams(method, label, call.params)
  const handlers = halves.find(half => half.manifest.name === call.plugin)?.running.rpc as Readonly<Record<string, Handler>> | undefined
  const handler = handlers !== undefined && Object.hasOwn(handlers, call.method) ? handlers[call.method] : undefined
  if (handlers === undefined || handler === undefined) throw invalid(label, 'it has no handler')
  const result = await handler.call(handlers, call.params, caller)
  checkResult(method, label, self, result)
  return result
}

/** An error as it travels. What is not a BedplateError becomes CALL_FAILED with its sentence. */
export function toWire (thrown: unknown, method: string, controller: string): WireError {
  const error = thrown instanceof BedplateError ? thrown : new BedplateError('CALL_FAILED', { method, controller, reason: reasonOf(thrown) })
  let details: Record<string, unknown> = {}
  try { details = JSON.parse(JSON.stringify(error.details)) as Record<string, unknown> } catch { /* a cyclic or bigint detail: the sentence still travels */ }
  return { code: error.code, message: error.message, details }
}

/** The error that travelled. A code this version does not know becomes CALL_FAILED with the peer's sentence. */
export function fromWire (error: WireError, method: string, controller: string): BedplateError {
  return Object.hasOwn(errorCodes, error.code)
    ? new BedplateError(error.code as ErrorCode, error.details)
    : new BedplateError('CALL_FAILED', { method, controller, reason: error.message })
}
