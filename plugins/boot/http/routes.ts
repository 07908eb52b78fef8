/** The rack's HTTP routes for machines that boot: their script, the files of images, and loaders for firmware that boots by HTTP. */
import { TLSSocket } from 'node:tls'
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import type { FastifyReply, FastifyRequest } from 'fastify'
import { Type } from 'typebox'
import { BedplateError } from '../../../core/errors.ts'
import type { Clock } from '../../../core/plugin.ts'
import type { FileStore } from '../../images/manifest.ts'
import { createSender, immutable } from './files.ts'
import type { Sender } from './files.ts'
import { systemCalls } from './sendfile.ts'
import { archiveAround } from '../firmware/joined.ts'
import { plainName } from '../firmware/loaders.ts'
import type { Loaders } from '../firmware/loaders.ts'
import { parseMac } from '../rack/mac.ts'
import type { Answers, Asking } from '../firmware/answers.ts'
import { architectureOf } from '../script/ipxe.ts'
import { configurationNamed } from '../script/names.ts'
import { hostOf } from '../script/task.ts'
import type { Wanted } from '../rack/wanted.ts'

/** A request by HTTP that was answered. `mac`: where the request itself names it. */
export interface Answered { readonly address: string, readonly mac: string | null, readonly what: string, readonly bytes: number, readonly milliseconds: number, readonly failure: string | null }
export interface RouteOptions {
  readonly wanted: Wanted, readonly files: FileStore, readonly loaders: Loaders, readonly answers: Answers, readonly clock: Clock
  served(what: Answered): void
  /** How long a client may wait for a file that has to be pulled first, in ms. */
  readonly pullPatience?: number
  readonly sender?: Sender
  /** Port of the plain HTTP: texts name it also to who asks over TLS, for what reads them next, the initrd, knows no authority. */
  readonly httpPort?: number
}

/** Mounted at /boot on the rack's HTTP port. No accounts: nothing here is secret but tokens, and a script goes to whoever names the MAC. */
export const bootRoutes = ({ wanted, files, loaders, answers, clock, served, pullPatience = 120_000, sender = createSender({ calls: systemCalls }), httpPort }: RouteOptions): FastifyPluginAsyncTypebox => async app => {
  const getAndHead = ['GET', 'HEAD']

  app.route({
    method: getAndHead,
    url: '/ipxe/:mac',
    exposeHeadRoute: false,
    schema: { params: Type.Object({ mac: Type.String({ maxLength: 32 }) }), querystring: Type.Object({ arch: Type.Optional(Type.String({ maxLength: 32, description: 'iPXE\'s ${buildarch}; matters only for machines nobody knows' })) }, { additionalProperties: true }) },
    async handler (request, reply) {
      const { mac: asked } = request.params as { mac: string }
      const { arch } = request.query as { arch?: string }
      const mac = parseMac(asked)
      if (mac === undefined) throw new BedplateError('INVALID_REQUEST', { reason: `"${asked}" is not a MAC address` })
      return await configuration(request, reply, { mac, language: 'ipxe', architecture: architectureOf(arch) }, `/ipxe/${mac}`)
    }
  })

  // The other conventions' names, for loaders and firmware that came here by HTTP.
  for (const url of ['/boot.ipxe', '/grub/*', '/pxelinux.cfg/*']) {
    app.route({
      method: getAndHead,
      url,
      exposeHeadRoute: false,
      async handler (request, reply) {
        const name = url.replace('*', (request.params as { '*'?: string })['*'] ?? '')
        const named = configurationNamed(name)
        if (named === undefined) throw new BedplateError('NOT_FOUND', { what: 'configuration', id: name })
        return await configuration(request, reply, named, name)
      }
    })
  }

  async function configuration (request: FastifyRequest, reply: FastifyReply, asking: Pick<Asking, 'mac' | 'language' | 'architecture'>, what: string): Promise<FastifyReply> {
    const began = clock.monotonic()
    const base = baseOf(request, httpPort)
    const text = await answers.text({ ...asking, address: clientOf(request), by: 'http' }, base, hostOf(base))
    if (request.method === 'GET') {
      reply.raw.once('close', () => {
        const whole = reply.raw.writableFinished
        served({ address: clientOf(request), mac: asking.mac, what, bytes: whole ? Buffer.byteLength(text) : 0, milliseconds: Math.round(clock.monotonic() - began), failure: whole ? null : 'the client closed the connection' })
      })
    }
    return reply.type('text/plain; charset=utf-8').header('cache-control', 'no-store').send(text)
  }

  app.route({
    method: getAndHead,
    url: '/files/:sha256/:name',
    exposeHeadRoute: false,
    schema: { params: Type.Object({ sha256: Type.String({ pattern: '^[0-9a-f]{64}$' }), name: Type.String({ maxLength: 128 }) }) },
    async handler (request, reply) {
      const { sha256, name } = request.params as { sha256: string, name: string }
      // Another rack looks here (RFC 9111, 5.2.1.7): it gets what is here whole, else goes on looking. Were it pulled for it, two racks would wait for one another.
      const peer = onlyIfCached(request.headers['cache-control'])
      if (peer && !files.has(sha256)) return reply.code(504).header('content-length', 0).send('')
      // Only what boot needs, or what is here anyway: a stranger cannot make the rack ask its region for files.
      if (!wanted.knows(sha256) && !files.has(sha256)) throw new BedplateError('NOT_FOUND', { what: 'file', id: sha256 })
      const began = clock.monotonic()
      const size = files.size?.(sha256)
      if (request.method === 'HEAD' && !files.has(sha256) && size !== undefined) {
        files.path(sha256).catch(() => {}) // who asks how long it is wants it next, and firmware waits for a few seconds only
        return reply.header('etag', `"${sha256}"`).header('accept-ranges', 'bytes').header('cache-control', immutable).header('content-length', size).type('application/octet-stream').send()
      }
      const path = files.has(sha256) ? await files.path(sha256) : await pulled(sha256, request)
      return sender.send(request, reply, path, { sha256, ...peer ? {} : { sent: report(request, `/files/${sha256}/${name}`, began) } })
    }
  })

  app.route({
    method: getAndHead,
    url: '/loaders/*', // shim asks for //grubx64.efi
    exposeHeadRoute: false,
    schema: { params: Type.Object({ '*': Type.String({ maxLength: 128 }) }) },
    async handler (request, reply) {
      const name = plainName((request.params as { '*': string })['*'])
      const path = loaders.path(name)
      if (path === undefined) throw new BedplateError('NOT_FOUND', { what: 'loader', id: name })
      return sender.send(request, reply, path, { sent: report(request, `/loaders/${name}`, clock.monotonic()) })
    }
  })

  app.route({
    method: getAndHead,
    url: '/initrd/:initrd/:root/:name',
    exposeHeadRoute: false,
    schema: { params: Type.Object({ initrd: Type.String({ pattern: '^[0-9a-f]{64}$' }), root: Type.String({ pattern: '^[0-9a-f]{64}$' }), name: Type.String({ maxLength: 128 }) }) },
    async handler (request, reply) {
      const { initrd, root, name } = request.params as { initrd: string, root: string, name: string }
      const began = clock.monotonic()
      const headed = (size: number) => reply.header('content-length', size).header('cache-control', 'no-cache').type('application/octet-stream')
      const sizes = wanted.joins(initrd, root)
      if (request.method === 'HEAD' && sizes !== undefined) {
        for (const sha256 of [initrd, root]) files.path(sha256).catch(() => {}) // it is wanted next
        const { head, tail } = archiveAround('root.squashfs', sizes.root, sizes.initrd)
        return headed(sizes.initrd + head.length + sizes.root + tail.length).send()
      }
      const { parts, size } = await waited(request, signal => answers.joined(initrd, root, signal))
      return sender.join(request, headed(size), { parts, size }, report(request, `/initrd/${initrd}/${root}/${name}`, began))
    }
  })

  const report = (request: FastifyRequest, what: string, began: number) => (bytes: number, failure: string | null): void =>
    served({ address: clientOf(request), mac: null, what, bytes, milliseconds: Math.round(clock.monotonic() - began), failure })

  const pulled = (sha256: string, request: FastifyRequest): Promise<string> => waited(request, signal => files.path(sha256, signal))

  /** Waits for files while the client does; gives up with the client, or after `pullPatience`. */
  async function waited<T> (request: FastifyRequest, work: (signal: AbortSignal) => Promise<T>): Promise<T> {
    const gone = new AbortController()
    const leave = () => gone.abort()
    request.raw.socket.once('close', leave)
    try {
      return await work(AbortSignal.any([gone.signal, AbortSignal.timeout(pullPatience)]))
    } catch (error) {
      if (error instanceof BedplateError && error.code === 'NOT_FOUND') throw error
      throw new BedplateError('UNAVAILABLE', { reason: `the file is not on this rack yet (${error instanceof Error ? error.message : String(error)})` }, error)
    } finally {
      request.raw.socket.off('close', leave)
    }
  }
}

const onlyIfCached = (control = ''): boolean => control.split(',').some(one => one.trim().toLowerCase() === 'only-if-cached')
const plain = (address: string): string => address.replace(/^::ffff:/, '')
const clientOf = (request: FastifyRequest): string => plain(request.socket.remoteAddress ?? '')

/** The rack as this client reached it: the very address and port of the connection, never what a header claims. */
const baseOf = ({ socket }: FastifyRequest, httpPort = socket.localPort): string => {
  const address = plain(socket.localAddress ?? '')
  return `http://${address.includes(':') ? `[${address}]` : address}:${socket instanceof TLSSocket ? httpPort : socket.localPort}`
}
