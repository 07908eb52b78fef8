/** What a machine fetches and posts at its rack: /provision/enlist/… for one nobody knows, /provision/<token>/… for the others. */
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import type { FastifyReply, FastifyRequest } from 'fastify'
import { Type, type Static } from 'typebox'
import { BedplateError } from '../../core/errors.ts'
import type { Reported } from '../../core/plugin.ts'
import type { manifest } from './manifest.ts'
import { readTar } from './tar.ts'
import type { Told } from './told.ts'
import type { Session, Wanted } from './wanted.ts'

type Facts = typeof manifest.facts
export type Report = <K extends keyof Facts & string>(kind: K, body: Static<Facts[K]>) => Reported

const uploadLimit = 8 << 20 // bytes: a large lshw listing is some hundred KiB
const filesLimit = 3 << 20 // characters of JSON: as a fact they must fit one frame of the link with others, each character being up to three bytes
const statuses = ['started', 'progress', 'ok', 'failed'] as const
const over = 'This session is over. Nothing is to be done here.\n'
const kept = 'This rack keeps it, and no region has stored it yet. Say it again: where it counts, it counts once.\n'
const strange = 'This rack knows no such session; it may not have heard of it yet, or it is over.\n'
const bare = 'There is no metadata for this machine: its image is gone.\n'
/** IPv4 clients of a socket that takes both families look like ::ffff:192.0.2.1; link-local ones carry a zone. */
const addressOf = ({ ip }: FastifyRequest): string => ip.replace(/^::ffff:/, '').replace(/%.*$/, '')
const plain = (reply: FastifyReply, text: string, type = 'text/plain') => reply.type(`${type}; charset=utf-8`).send(text)
/** What names a report over its repetitions: chosen by the machine. */
const reportId = /^[!-~]{1,64}$/
/** One public key on one line, as ssh writes it. */
const hostKey = /^[a-z0-9@.-]{1,64} [A-Za-z0-9+/=]{1,8000}( [!-~ ]{0,200})?$/
const bytes = (text: string | null): number | undefined => text !== null && /^\d{1,15}$/.test(text) ? Number(text) : undefined

export function createRoutes (wanted: Wanted, report: Report, told: Told): FastifyPluginAsyncTypebox {
  const Params = Type.Object({ token: Type.String({ minLength: 1, maxLength: 100 }) })
  return async app => {
    app.addContentTypeParser('application/x-www-form-urlencoded', { parseAs: 'string', bodyLimit: 64 << 10 }, (_request, body, done) => { done(null, new URLSearchParams(String(body))) })
    app.addContentTypeParser('application/x-tar', { parseAs: 'buffer', bodyLimit: uploadLimit }, (_request, body, done) => { done(null, body) })

    const form = (body: unknown): URLSearchParams => {
      if (body instanceof URLSearchParams) return body
      throw new BedplateError('INVALID_REQUEST', { reason: 'this takes a form (application/x-www-form-urlencoded)' })
    }
    const filesOf = (body: unknown): Record<string, string> => {
      if (!Buffer.isBuffer(body)) throw new BedplateError('INVALID_REQUEST', { reason: 'this takes a tar archive (application/x-tar)' })
      const files = readTar(body)
      if (JSON.stringify(files).length > filesLimit) throw new BedplateError('BODY_TOO_LARGE')
      return files
    }
    /** Runs `answer` for a session that stands. 410 says that there was one, for sure; 404 that this rack has not heard of any, which a rack that was cut off may say of one that stands. */
    const within = async (request: FastifyRequest<{ Params: { token: string } }>, reply: FastifyReply, answer: (session: Session, token: string) => FastifyReply | Promise<FastifyReply>): Promise<FastifyReply> => {
      const { token } = request.params
      const session = wanted.session(token)
      if (session) return await answer(session, token)
      return wanted.over(token) ? plain(reply.code(410), over) : plain(reply.code(404), strange)
    }
    /** The fact goes to disk before any answer. 204: a region has stored it. 202: this rack keeps it, and no region has taken it yet; whoever asks for `?until=stored` is told so by a 503. */
    async function keep<K extends keyof Facts & string> (request: FastifyRequest, reply: FastifyReply, kind: K, body: Static<Facts[K]>): Promise<FastifyReply> {
      if (await told.tell(kind, body, () => report(kind, body))) return reply.code(204).send()
      const { until } = request.query as { readonly until?: unknown }
      return until === 'stored' ? plain(reply.code(503).header('retry-after', 3), kept) : plain(reply.code(202), kept)
    }

    app.get('/:token/script', { schema: { params: Params } }, async (request, reply) => {
      if (request.params.token !== 'enlist') return within(request, reply, session => plain(reply, session.script))
      const script = wanted.enlist()
      return script === undefined ? plain(reply.code(503), 'This rack has not heard from a region yet.\n') : plain(reply, script)
    })

    app.post('/:token/report', { schema: { params: Params } }, async (request, reply) => {
      const fields = form(request.body)
      const status = statuses.find(one => one === fields.get('status'))
      const stage = fields.get('stage') ?? ''
      if (status === undefined || !/^[a-z][a-z-]{0,40}$/.test(stage)) throw new BedplateError('INVALID_REQUEST', { reason: `a report has a stage (a word) and a status (${statuses.join(', ')})` })
      if (request.params.token === 'enlist') return reply.code(204).send() // history belongs to a machine, and there is none yet
      return within(request, reply, ({ machine }, token) => {
        const done = bytes(fields.get('done'))
        const total = bytes(fields.get('total'))
        const id = fields.get('id') ?? ''
        const body = {
          token, machine, address: addressOf(request), stage, status, message: (fields.get('message') ?? '').replaceAll('\0', '').slice(0, 2000).toWellFormed(),
          ...(done === undefined ? {} : { done }), ...(total === undefined ? {} : { total }), ...(reportId.test(id) ? { id } : {})
        }
        if (status !== 'progress') return keep(request, reply, 'report', body)
        report('report', body) // nothing hangs on it: no machine waits for a region because of it
        return plain(reply.code(202), kept)
      })
    })

    app.post('/:token/inventory', { schema: { params: Params }, bodyLimit: uploadLimit }, async (request, reply) => {
      const address = addressOf(request)
      if (request.params.token === 'enlist') return keep(request, reply, 'enlisted', { address, files: filesOf(request.body) })
      return within(request, reply, ({ machine }, token) => keep(request, reply, 'inventory', { token, machine, address, files: filesOf(request.body) }))
    })

    for (const [path, pick] of [['meta-data', 'metaData'], ['user-data', 'userData'], ['vendor-data', 'vendorData'], ['network-config', 'networkConfig']] as const) {
      app.get(`/:token/${path}`, { schema: { params: Params } }, async (request, reply) => within(request, reply, session =>
        session.purpose === 'deploy' && session.metaData === '' ? plain(reply.code(404), bare) : plain(reply, session[pick], 'text/yaml')))
    }

    // cloud-init's phone_home: a form with pub_key_* and the names
    app.post('/:token/phone-home', { schema: { params: Params } }, async (request, reply) => {
      const fields = form(request.body)
      return within(request, reply, ({ machine }, token) => {
        const hostKeys = [...fields].filter(([name]) => name.startsWith('pub_key_')).map(([, value]) => value.trim()).filter(value => hostKey.test(value))
        return keep(request, reply, 'phoneHome', { token, machine, address: addressOf(request), hostKeys: hostKeys.slice(0, 16) })
      })
    })
  }
}
