/** What a machine fetches and posts at its rack: /provision/enlist/… for one nobody knows, /provision/<token>/… for the others. */
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import type { FastifyReply, FastifyRequest } from 'fastify'
import { Type, type Static } from 'typebox'
import { BedplateError } from '../../core/errors.ts'
import type { manifest } from './manifest.ts'
import { readTar } from './tar.ts'
import type { Session, Wanted } from './wanted.ts'

type Facts = typeof manifest.facts
export type Report = <K extends keyof Facts & string>(kind: K, body: Static<Facts[K]>) => void

const uploadLimit = 8 << 20 // bytes: a large lshw listing is some hundred KiB
const filesLimit = 3 << 20 // characters of JSON: as a fact they must fit one frame of the link with others, each character being up to three bytes
const statuses = ['started', 'progress', 'ok', 'failed'] as const
const over = 'This session is over, or never was. Nothing is to be done here.\n'
/** IPv4 clients of a socket that takes both families look like ::ffff:192.0.2.1; link-local ones carry a zone. */
const addressOf = ({ ip }: FastifyRequest): string => ip.replace(/^::ffff:/, '').replace(/%.*$/, '')
const plain = (reply: FastifyReply, text: string, type = 'text/plain') => reply.type(`${type}; charset=utf-8`).send(text)
/** One public key on one line, as ssh writes it. */
const hostKey = /^[a-z0-9@.-]{1,64} [A-Za-z0-9+/=]{1,8000}( [!-~ ]{0,200})?$/
const bytes = (text: string | null): number | undefined => text !== null && /^\d{1,15}$/.test(text) ? Number(text) : undefined

export function createRoutes (wanted: Wanted, report: Report): FastifyPluginAsyncTypebox {
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
    /** Runs `answer` for a session that stands; says so to one that does not. */
    const within = (request: FastifyRequest<{ Params: { token: string } }>, reply: FastifyReply, answer: (session: Session, token: string) => FastifyReply): FastifyReply => {
      const session = wanted.session(request.params.token)
      return session ? answer(session, request.params.token) : plain(reply.code(404), over)
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
        report('report', { token, machine, address: addressOf(request), stage, status, message: (fields.get('message') ?? '').replaceAll('\0', '').slice(0, 2000).toWellFormed(), ...(done === undefined ? {} : { done }), ...(total === undefined ? {} : { total }) })
        return reply.code(204).send()
      })
    })

    app.post('/:token/inventory', { schema: { params: Params }, bodyLimit: uploadLimit }, async (request, reply) => {
      const address = addressOf(request)
      if (request.params.token === 'enlist') { report('enlisted', { address, files: filesOf(request.body) }); return reply.code(204).send() }
      return within(request, reply, ({ machine }, token) => { report('inventory', { token, machine, address, files: filesOf(request.body) }); return reply.code(204).send() })
    })

    for (const [path, pick] of [['meta-data', 'metaData'], ['user-data', 'userData'], ['vendor-data', 'vendorData'], ['network-config', 'networkConfig']] as const) {
      app.get(`/:token/${path}`, { schema: { params: Params } }, async (request, reply) => within(request, reply, session => plain(reply, session[pick], 'text/yaml')))
    }

    // cloud-init's phone_home: a form with pub_key_* and the names
    app.post('/:token/phone-home', { schema: { params: Params } }, async (request, reply) => {
      const fields = form(request.body)
      return within(request, reply, ({ machine }, token) => {
        const hostKeys = [...fields].filter(([name]) => name.startsWith('pub_key_')).map(([, value]) => value.trim()).filter(value => hostKey.test(value))
        report('phoneHome', { token, machine, address: addressOf(request), hostKeys: hostKeys.slice(0, 16) })
        return reply.code(204).send()
      })
    })
  }
}
