/** What a resource answers with, and the errors of DSP0266, clause 8.6. Pure. */
export type Json = Readonly<Record<string, unknown>>
export interface Answer { readonly status: number, readonly body?: Json, readonly headers?: Readonly<Record<string, string>>, /** Carried out, but the answer never arrives. */ readonly lost?: boolean }

/** One resource. `get` gives it without `@odata.id`, which is the path it was asked for by. */
export interface Resource {
  readonly get?: () => Json
  /** In place of `get`, for what answers with other statuses than 200. */
  readonly monitor?: () => Answer
  readonly patch?: (body: Json) => Answer
  readonly post?: (body: Json) => Answer
  readonly delete?: () => Answer
  readonly open?: boolean // needs no login
  readonly tagged?: boolean // has an ETag that changes when it does
}
/** The resource at a path without its last slash; undefined: there is none. */
export type Tree = (path: string) => Resource | undefined

export const root = '/redfish/v1'
export const link = (path: string): Json => ({ '@odata.id': path })
export const members = (paths: readonly string[]): Json => ({ Members: paths.map(link), 'Members@odata.count': paths.length })

/** An error with one message of the Base registry. */
export const failure = (status: number, message: string, id = 'GeneralError'): Answer => ({
  status, body: { error: { code: `Base.1.8.${id}`, message, '@Message.ExtendedInfo': [{ '@odata.type': '#Message.v1_1_1.Message', MessageId: `Base.1.8.${id}`, Message: message, Severity: status < 500 ? 'Warning' : 'Critical', Resolution: 'Correct the request.' }] } }
})
export const unknownValue = (name: string, value: unknown): Answer => failure(400, `The value ${JSON.stringify(value) ?? 'nothing'} of ${name} is not among those it takes.`, 'PropertyValueNotInList')
export const done: Answer = { status: 204 }

export const object = (value: unknown): Json => typeof value === 'object' && value !== null && !Array.isArray(value) ? value as Json : {}

/** Every link of it as this vendor writes it. */
export function slashed (value: unknown): unknown {
  if (Array.isArray(value)) return value.map(slashed)
  if (typeof value !== 'object' || value === null) return value
  return Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, (key === '@odata.id' || key === 'target') && typeof inner === 'string' && !inner.endsWith('/') ? `${inner}/` : slashed(inner)]))
}
