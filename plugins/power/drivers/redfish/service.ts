/** A logged-in exchange with one Redfish service: reading, changing (with entity tags), and what is longer than one answer. */
import { BedplateError } from '../../../../core/errors.ts'
import type { Options } from '../../driver.ts'
import type { Answer } from '../../connection/connection.ts'
import { link, list, nextLink, object, text, type Json } from '../../connection/json.ts'
import { refuse, type Access, type Credentials } from './login.ts'
import { poolIn } from './pool.ts'
import { rootFrom, type Root } from './root.ts'
import { sessionGone } from './said.ts'

/** `patient`: BMCs take long for it, for a whole collection or for an image they look at first; it has three times as long as a request usually has. */
interface Sending { readonly body?: unknown, readonly ifMatch?: string, readonly allow?: readonly number[], readonly patient?: boolean }
export interface Found { readonly path: string, readonly body: Json, readonly etag: string | undefined }

export interface Service {
  readonly origin: string
  readonly credentials: Credentials
  readonly options: Options
  readonly root: Root
  readonly system: string | undefined // the one the address names
  /** What was found out about this BMC once. */
  readonly known: Map<string, unknown>
  /** Statuses of 300 and above are thrown, but for those in `allow`. POWER_AUTHENTICATION, POWER_REFUSED, POWER_FAILED. */
  request(method: string, path: string, sending?: Sending): Promise<Answer>
  get(path: string): Promise<Found>
  /** What is there, or undefined where there is nothing: 404 and the like. */
  look(path: string | undefined): Promise<Found | undefined>
  /** Members of a collection, whole, `most` at most; the further ones are not even asked for. */
  members(path: string | undefined, most: number): Promise<readonly Found[]>
}

const pages = 200 // of a collection; what has more is cut off

/** Runs `work` logged in, in the session that is kept for this BMC. */
export async function withRedfish<T> (credentials: Credentials, options: Options, work: (service: Service) => Promise<T>): Promise<T> {
  const pool = poolIn(options.kept, options.clock)
  const { signal, pace } = options
  return await pool.visit(credentials, async entry => {
    const enter = (): Promise<Access> => unlessAborted(pool.access(entry, credentials, pace.request), signal)
    const send = async (access: Access, method: string, path: string, { body, ifMatch, patient = false }: Sending): Promise<Answer> =>
      await entry.connection.send(method, path, { ...access.headers, ...(ifMatch === undefined ? {} : { 'if-match': ifMatch }) }, body, { signal, limit: patient ? 3 * pace.request : pace.request })

    async function request (method: string, path: string, sending: Sending = {}): Promise<Answer> {
      let access = await enter()
      let answer = await send(access, method, path, sending)
      if (access.by === 'session' && sessionGone(answer.status, answer.body)) { // refused before anything was done, so it may be repeated
        if (entry.access === access) { // perhaps the BMC was restarted, with other firmware: what was known of it is looked up again
          entry.access = entry.root = undefined
          entry.known.clear()
        }
        access = await enter()
        answer = await send(access, method, path, sending)
      }
      if (answer.status === 401 && access.crowded === true) throw new BedplateError('POWER_FAILED', { action: 'action', reason: 'all sessions of the BMC are in use, and it takes no HTTP Basic instead; end some, or wait until they do' })
      if (!(sending.allow ?? []).includes(answer.status)) refuse(answer, method, path)
      return answer
    }
    const found = (path: string, { body, etag }: Pick<Answer, 'body' | 'etag'>): Found => {
      if (Object.keys(body).length === 0) throw new BedplateError('POWER_FAILED', { action: 'action', reason: `GET ${path} was answered with no JSON object` })
      const own = link(body) // with the slash at its end, or without it, as this BMC wants it: only a GET is redirected
      return { path: own !== undefined && bare(own) === bare(path) ? own : path, body, etag: etag ?? text(body['@odata.etag']) }
    }
    const get = async (path: string): Promise<Found> => found(path, await request('GET', path))
    async function look (path: string | undefined, patient = false): Promise<Found | undefined> {
      if (path === undefined) return undefined
      const answer = await request('GET', path, { allow: [400, 404, 405, 410, 501], patient })
      return answer.status < 300 ? found(path, answer) : undefined
    }

    /** The first page, with its members in it where the service can. One that says it can and cannot is not asked again. */
    async function firstPage (path: string): Promise<Found | undefined> {
      const expand = entry.known.get('expands not') === true || path.includes('?') ? undefined : root().expand
      if (expand !== undefined) {
        const answer = await request('GET', `${path}?${expand}`, { allow: [400, 403, 404, 405, 413, 414, 500, 501, 507], patient: true })
        if (answer.status < 300 && Array.isArray(answer.body.Members)) return found(path, answer)
        entry.known.set('expands not', true)
      }
      return await look(path, true)
    }
    async function members (path: string | undefined, most: number): Promise<readonly Found[]> {
      const all: Found[] = []
      const seen = new Set<string>()
      let page = path === undefined ? undefined : await firstPage(path)
      for (let count = 1; page !== undefined; count++) {
        for (const member of list(page.body.Members).slice(0, most - all.length).map(object)) {
          const at = link(member)
          const whole = Object.keys(member).some(key => !key.startsWith('@'))
          const one = whole ? found(at ?? '', { body: member, etag: undefined }) : await look(at)
          if (one !== undefined) all.push(one)
        }
        const next = nextLink(page.body)
        if (next === undefined || seen.has(next) || count >= pages || all.length >= most) break
        seen.add(next)
        page = await look(next, true)
      }
      return all
    }

    const root = (): Root => entry.root ?? rootFrom({}, false)
    await enter()
    const { origin, pathname } = new URL(credentials.address)
    return await work({ origin, credentials, options, known: entry.known, request, get, look, members, root: root(), system: /^\/redfish\/v1\/Systems\/[^/]+\/?$/i.test(pathname) ? pathname.replace(/\/$/, '') : undefined })
  })
}

const bare = (path: string): string => path.replace(/\/$/, '').toLowerCase()

/** What `promise` gives, unless the caller gives up first; it goes on then for whoever else waits. POWER_FAILED. */
async function unlessAborted<T> (promise: Promise<T>, signal: AbortSignal): Promise<T> {
  const over = Promise.withResolvers<never>()
  const abort = (): void => { over.reject(new BedplateError('POWER_FAILED', { action: 'action', reason: 'the time for it was over before the BMC let us in' })) }
  if (signal.aborted) abort()
  signal.addEventListener('abort', abort, { once: true })
  promise.catch(() => {}) // told to those who still wait
  try { return await Promise.race([promise, over.promise]) } finally { signal.removeEventListener('abort', abort) }
}
