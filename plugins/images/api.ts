/** /api/v1/images: upload files by content, make images of them, list and delete. */
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { Type } from 'typebox'
import { BedplateError } from '../../core/errors.ts'
import type { Database, Query, Tx } from '../../core/plugin.ts'
import { checkPart, checkTemplate, headBytes, parts, patterns, templateLimit } from './description.ts'
import { loaders, Sha256, ways, type Way } from './manifest.ts'
import { deleteImage, findFile, findImage, insertImage, listImages, readChunk } from './store.ts'
import type { NewImage, StoredImage } from './store.ts'
import { storeFile } from './upload.ts'

const largestFile = 64 * 2 ** 30
const File = Type.Object({ sha256: Sha256, size: Type.Integer({ description: 'bytes' }) })
const Template = Type.Optional(Type.String({ maxLength: templateLimit }))
const fields = {
  name: Type.String({ pattern: patterns.name }),
  os: Type.String({ pattern: patterns.os }),
  release: Type.String({ pattern: patterns.release }),
  architecture: Type.String({ pattern: patterns.architecture }),
  title: Type.String({ pattern: patterns.title }),
  user: Type.String({ pattern: patterns.user, description: 'the account that cloud-init makes in the deployed system' }),
  kernelOptions: Type.String({ pattern: patterns.kernelOptions, default: '' }),
  way: Type.Enum([...ways], { default: 'http', description: 'how the root is reached while the image runs from memory, unless the machine says otherwise' }),
  templates: Type.Optional(Type.Object({ ipxe: Template, grub: Template, pxelinux: Template }, { description: 'texts of the image itself for boot loaders, instead of those that are made; printable ASCII and tabs' }))
}
const Image = Type.Object({ id: Type.String(), ...fields, kernel: File, initrd: File, root: File, createdAt: Type.String({ format: 'date-time' }), racks: Type.Array(Type.String(), { description: 'racks that hold all of its files, verified' }) })
const ByHash = Type.Object({ sha256: Sha256 })
const ById = Type.Object({ id: Type.String({ maxLength: 64, description: 'id, or a name: its newest image' }) })

const shown = ({ racks, createdAt, ...image }: StoredImage) => ({ ...image, createdAt: createdAt.toISOString(), racks: [...racks] })
async function found (q: Query, id: string): Promise<StoredImage> {
  const image = await findImage(q, id)
  if (image === undefined) throw new BedplateError('NOT_FOUND', { what: 'image', id })
  return image
}

/** Throws IMAGE_INVALID unless every part was uploaded and is what it should be, and every template can be given to its loader. */
async function checkImage (q: Query, image: NewImage): Promise<void> {
  for (const loader of loaders) {
    const text = image.templates?.[loader]
    if (text !== undefined) checkTemplate(loader, 'the template', text)
  }
  for (const part of parts) {
    const read = await readChunk(q, image[part], 0, 0, headBytes)
    if (read === undefined) throw new BedplateError('IMAGE_INVALID', { reason: `the file ${image[part]} (${part}) has not been uploaded` })
    checkPart(part, `the ${part}`, read.data, read.size)
    if (part === 'root') checkWay(image.way, read.size)
  }
}
/** Throws IMAGE_INVALID unless a root of `size` bytes can be brought in that way. A machine that is set to another way is told at its boot. */
function checkWay (way: Way, size: number): void {
  // the size of a file beside the initrd has eight hex digits (cpio, newc)
  if (way === 'initrd' && size >= 2 ** 32) throw new BedplateError('IMAGE_INVALID', { reason: `the root has ${size} bytes, and the way "initrd" brings less than 4 GiB. Give it the way "http" or "iscsi"` })
  if (way === 'iscsi' && size % 512 !== 0) throw new BedplateError('IMAGE_INVALID', { reason: `the root has ${size} bytes, and the way "iscsi" takes whole blocks of 512 only. Pad it (truncate -s %512 <file>), or give it the way "http"` })
}
const touched = async (tx: Tx, id: string, image: { readonly [part in typeof parts[number]]: string }): Promise<void> => {
  await tx.changed('images.image', id)
  for (const sha256 of new Set(parts.map(part => image[part]))) await tx.changed('images.file', sha256)
}

export const imageRoutes = (db: Database): FastifyPluginAsyncTypebox => async app => {
  // The body stays a stream: nothing of it is gathered in memory, and the limit for other bodies does not apply.
  app.addContentTypeParser('application/octet-stream', (_request, payload, done) => { done(null, payload) })

  app.head('/files/:sha256', { schema: { summary: 'Ask whether a file is there', params: ByHash } }, async ({ params: { sha256 } }, reply) => {
    const file = await findFile(db, sha256)
    if (file === undefined) throw new BedplateError('NOT_FOUND', { what: 'file', id: sha256 })
    return reply.header('content-length', file.size).send()
  })

  app.put('/files/:sha256', { bodyLimit: largestFile, schema: { summary: 'Upload a file', consumes: ['application/octet-stream'], params: ByHash, response: { 200: File, 201: File } } }, async ({ params: { sha256 }, body, raw }, reply) => {
    const known = await findFile(db, sha256)
    if (known !== undefined) return known // what the client still sends is let run out
    if (!isStream(body)) throw new BedplateError('INVALID_REQUEST', { reason: 'send the file as application/octet-stream' })
    raw.socket.setTimeout(0)
    return reply.code(201).send(await storeFile(db, sha256, body))
  })

  app.get('/', {
    schema: {
      summary: 'List images',
      querystring: Type.Object({ limit: Type.Integer({ minimum: 1, maximum: 1000, default: 100 }), after: Type.Optional(Type.String({ maxLength: 64, description: '`next` of the page before' })) }),
      response: { 200: Type.Object({ items: Type.Array(Image), next: Type.Union([Type.String(), Type.Null()]) }) }
    }
  }, async ({ query: { limit, after } }) => {
    const images = await listImages(db, { after, limit: limit + 1 })
    const page = images.slice(0, limit)
    return { items: page.map(shown), next: images.length > limit ? page.at(-1)?.id ?? null : null }
  })

  app.get('/:id', { schema: { summary: 'Show an image', params: ById, response: { 200: Image } } }, async ({ params: { id } }) => shown(await found(db, id)))

  app.post('/', { schema: { summary: 'Make an image of uploaded files', body: Type.Object({ ...fields, kernel: Sha256, initrd: Sha256, root: Sha256 }), response: { 201: Image } } }, async ({ body }, reply) => {
    const image = await db.tx(async tx => {
      await checkImage(tx, body)
      const id = await insertImage(tx, body)
      await touched(tx, id, body)
      return found(tx, id)
    })
    return reply.code(201).header('location', `/api/v1/images/${image.id}`).send(shown(image))
  })

  app.delete('/:id', { schema: { summary: 'Delete an image', params: ById, response: { 204: Type.Null() } } }, async ({ params: { id } }, reply) => {
    await db.tx(async tx => {
      const image = await findImage(tx, id)
      if (image?.id !== id || !await deleteImage(tx, id)) throw new BedplateError('NOT_FOUND', { what: 'image', id })
      await touched(tx, id, { kernel: image.kernel.sha256, initrd: image.initrd.sha256, root: image.root.sha256 })
    })
    return reply.code(204).send(null)
  })
}

const isStream = (body: unknown): body is AsyncIterable<Uint8Array> => typeof body === 'object' && body !== null && Symbol.asyncIterator in body
