/** What a Redfish service answers to one request: login, ETag, faults that are told, resources. No socket. */
import { createHash } from 'node:crypto'
import { takes } from '../faults.ts'
import type { Account, Model } from '../model.ts'
import { failure, root, slashed, type Answer, type Json, type Resource, type Tree } from './answer.ts'
import type { Sessions } from './sessions.ts'
import { sessionsPath } from './tree.ts'

export interface Asked { readonly method: string, readonly path: string, readonly token: string | undefined, readonly authorization: string | undefined, readonly ifMatch: string | undefined, readonly body: Json | undefined }
const methods = { GET: 'get', HEAD: 'get', PATCH: 'patch', POST: 'post', DELETE: 'delete' } as const

export function decide (model: Model, tree: Tree, sessions: Sessions, asked: Asked): Answer {
  const { faults, profile } = model
  const { method, path, body } = asked
  if (takes(faults, 'busy')) return failure(503, 'The service is busy; try again later.', 'ServiceTemporarilyUnavailable')
  const login = method === 'POST' && (path === sessionsPath || path === `${sessionsPath}/Members`)
  const resource = tree(login ? sessionsPath : path)
  const open = login || (resource?.open === true && !faults.closed)
  const account = open ? undefined : whoAsks(model, sessions, asked)
  if (!open && account === undefined) return { ...failure(401, 'Log in first.', 'ResourceAtUriUnauthorized'), headers: { 'www-authenticate': 'Basic realm="BMC"' } }
  if (resource === undefined || (faults.noSessions && path.startsWith(`${root}/SessionService`))) return failure(404, `There is no ${path}.`, 'ResourceMissingAtURI')
  if (method !== 'GET' && method !== 'HEAD' && body === undefined) return failure(400, 'The body of the request is no JSON object.', 'MalformedJSON')
  const changes = !login && method !== 'GET' && method !== 'HEAD' && !path.startsWith(sessionsPath)
  if (changes && account?.privilege === 'user') return failure(403, 'The account has no privilege for this.', 'InsufficientPrivilege')
  const name = method in methods ? methods[method as keyof typeof methods] : undefined
  if (name === 'get') {
    if (resource.monitor !== undefined) return resource.monitor()
    if (resource.get === undefined) return notAllowed(resource)
    const read = resource.get()
    const tag = tagOf(model, resource, path, read)
    // another client's change, between this read and what may follow it
    const generations = resource.tagged === true && takes(faults, 'changing')
    const answer = { status: 200, body: { '@odata.id': path, ...tag === undefined ? {} : { '@odata.etag': tag }, ...read }, headers: { allow: allowed(resource), ...tag === undefined ? {} : { etag: tag } } }
    if (generations) extra.set(model, (extra.get(model) ?? 0) + 1)
    return answer
  }
  const work = name === undefined ? undefined : resource[name]
  if (work === undefined) return notAllowed(resource)
  if (name === 'patch') {
    const tag = tagOf(model, resource, path, resource.get?.() ?? {})
    if (asked.ifMatch === undefined && (faults.needsEtag || profile.etag === 'required')) return failure(428, 'If-Match is required.', 'PreconditionRequired')
    if (asked.ifMatch !== undefined && asked.ifMatch !== '*' && tag !== undefined && asked.ifMatch !== tag) return failure(412, 'It has changed since: its ETag is another.', 'PreconditionFailed')
  }
  const answer = work(body ?? {})
  return answer.status === 200 && answer.body !== undefined ? { ...answer, body: { '@odata.id': path, ...answer.body } } : answer
}

const extra = new WeakMap<Model, number>() // changes that nobody made, only faults

/** Changes with what it shows; the power state is left out, so that a machine that starts does not disturb who sets its boot device. */
function tagOf (model: Model, resource: Resource, path: string, body: Json): string | undefined {
  if (resource.tagged !== true || (model.profile.etag === 'absent' && !model.faults.needsEtag)) return undefined
  const { PowerState: _, ...rest } = body
  return `W/"${createHash('sha1').update(`${path} ${extra.get(model) ?? 0} ${JSON.stringify(rest)}`).digest('hex').slice(0, 8)}"`
}

function whoAsks (model: Model, sessions: Sessions, { token, authorization }: Asked): Account | undefined {
  if (token !== undefined) {
    const session = sessions.find(token)
    return session === undefined ? undefined : model.account(session.user)
  }
  const [, basic] = /^Basic (\S+)$/i.exec(authorization ?? '') ?? []
  const [, user = '', password] = /^([^:]*):(.*)$/s.exec(Buffer.from(basic ?? '', 'base64').toString()) ?? []
  const account = model.account(user)
  return account !== undefined && account.password === password ? account : undefined
}

const notAllowed = (resource: Resource): Answer => ({ ...failure(405, 'Not that method.', 'OperationNotAllowed'), headers: { allow: allowed(resource) } })
const allowed = (resource: Resource): string => Object.entries(methods).filter(([, name]) => resource[name] !== undefined || (name === 'get' && resource.monitor !== undefined)).map(([method]) => method).join(', ')

/** The body as this vendor writes its links. */
export const written = ({ profile }: Model, { body, headers }: Answer): { readonly body: unknown, readonly headers: Readonly<Record<string, string>> } => ({
  body: profile.slash ? slashed(body) : body,
  headers: profile.slash && headers?.location !== undefined ? { ...headers, location: headers.location.replace(/\/?$/, '/') } : headers ?? {}
})
