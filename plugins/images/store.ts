/** All SQL of images: files in pieces, images made of them, and which rack holds what. */
import type { Query, Tx } from '../../core/plugin.ts'
import type { Image, ImageFile, Templates, Way } from './manifest.ts'

/** Ids are PostgreSQL bigints; anything else names nothing. */
export const isId = (text: string): boolean => /^[1-9]\d{0,17}$/.test(text)

export const beginUpload = async (q: Query): Promise<string> =>
  (await q.query<{ id: string }>('insert into images.upload default values returning id::text'))[0]!.id
export const putChunk = (q: Query, upload: string, number: number, data: Uint8Array): Promise<unknown> =>
  q.query('with touched as (update images.upload set touched_at = now() where id = $1) insert into images.chunk (upload, number, data) values ($1, $2, $3)', [upload, number, data])
export const dropUpload = (q: Query, upload: string): Promise<unknown> => q.query('delete from images.upload where id = $1', [upload])

/** Makes the upload the file. When another upload of the same content was first, this one is dropped; the outcome is the same. */
export async function finishUpload (tx: Tx, upload: string, { sha256, size }: ImageFile): Promise<void> {
  const made = await tx.query('insert into images.file (sha256, size, upload) values ($1, $2, $3) on conflict do nothing returning 1', [sha256, size, upload])
  if (made.length === 0) await dropUpload(tx, upload)
}

export async function findFile (q: Query, sha256: string): Promise<ImageFile | undefined> {
  const [row] = await q.query<{ sha256: string, size: string }>('select sha256, size from images.file where sha256 = $1', [sha256])
  return row === undefined ? undefined : { sha256: row.sha256, size: Number(row.size) }
}

/** `length` bytes from `offset` within piece `number`, and the size of the whole; undefined when there is no such file. Past its end the data is empty. */
export async function readChunk (q: Query, sha256: string, number: number, offset: number, length: number): Promise<{ readonly data: Buffer, readonly size: number } | undefined> {
  const [row] = await q.query<{ size: string, data: Buffer | null }>(
    'select f.size, substring(c.data from $3::integer for $4::integer) as data from images.file f left join images.chunk c on c.upload = f.upload and c.number = $2 where f.sha256 = $1',
    [sha256, number, offset + 1, length])
  return row === undefined ? undefined : { data: row.data ?? Buffer.alloc(0), size: Number(row.size) }
}

interface ImageRow {
  readonly id: string, readonly name: string, readonly os: string, readonly release: string, readonly architecture: string, readonly title: string, readonly user: string, readonly kernelOptions: string, readonly way: Way
  readonly kernel: string, readonly kernelSize: string, readonly initrd: string, readonly initrdSize: string, readonly root: string, readonly rootSize: string, readonly templates: Templates | null, readonly createdAt: Date, readonly racks: string[]
}
/** `racks`: those that hold all of its files. */
export type StoredImage = Image & { readonly racks: readonly string[] }

const images = (where: string) => `
  select i.id::text, i.name, i.os, i.release, i.architecture, i.title, i.user_name as "user", i.kernel_options as "kernelOptions", i.way, i.templates, i.created_at as "createdAt",
    i.kernel, k.size as "kernelSize", i.initrd, n.size as "initrdSize", i.root, r.size as "rootSize",
    array(select h.rack from images.held h where h.sha256 in (i.kernel, i.initrd, i.root) group by h.rack
      having count(*) = (select count(distinct f) from unnest(array[i.kernel, i.initrd, i.root]) f) order by h.rack) as racks
  from images.image i join images.file k on k.sha256 = i.kernel join images.file n on n.sha256 = i.initrd join images.file r on r.sha256 = i.root ${where}`

const imageFrom = ({ kernel, kernelSize, initrd, initrdSize, root, rootSize, templates, ...rest }: ImageRow): StoredImage => ({
  ...rest, ...templates === null ? {} : { templates }, kernel: { sha256: kernel, size: Number(kernelSize) }, initrd: { sha256: initrd, size: Number(initrdSize) }, root: { sha256: root, size: Number(rootSize) }
})

/** By id, those after `after`. */
export const listImages = async (q: Query, { after, limit }: { readonly after?: string | undefined, readonly limit?: number } = {}): Promise<StoredImage[]> =>
  (await q.query<ImageRow>(images('where i.id > $1 order by i.id limit $2'), [after !== undefined && isId(after) ? after : '0', limit ?? 1_000_000])).map(imageFrom)
/** By id, else the newest of that name. */
export async function findImage (q: Query, idOrName: string): Promise<StoredImage | undefined> {
  const [row] = await q.query<ImageRow>(images('where i.id = $1::bigint or i.name = $2 order by (i.id = $1::bigint) is true desc, i.id desc limit 1'), [isId(idOrName) ? idOrName : null, idOrName])
  return row === undefined ? undefined : imageFrom(row)
}
export async function newestOf (q: Query, architecture: string): Promise<StoredImage | undefined> {
  const [row] = await q.query<ImageRow>(images('where i.architecture = $1 order by i.id desc limit 1'), [architecture])
  return row === undefined ? undefined : imageFrom(row)
}

export type NewImage = Omit<Image, 'id' | 'createdAt' | 'kernel' | 'initrd' | 'root'> & { readonly kernel: string, readonly initrd: string, readonly root: string }
export async function insertImage (tx: Tx, image: NewImage): Promise<string> {
  const [row] = await tx.query<{ id: string }>(
    'insert into images.image (name, os, release, architecture, title, user_name, kernel_options, kernel, initrd, root, way, templates) values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12) returning id::text',
    [image.name, image.os, image.release, image.architecture, image.title, image.user, image.kernelOptions, image.kernel, image.initrd, image.root, image.way, image.templates === undefined || Object.keys(image.templates).length === 0 ? null : JSON.stringify(image.templates)])
  return row!.id
}
export const deleteImage = async (tx: Tx, id: string): Promise<boolean> => (await tx.query('delete from images.image where id = $1 returning 1', [id])).length === 1

/** The files that racks shall have: those of any image; all, or of the ones named. */
export const wantedFiles = async (q: Query, sha256s?: readonly string[]): Promise<ImageFile[]> =>
  (await q.query<{ sha256: string, size: string }>(
    `select f.sha256, f.size from images.file f where ($1::text[] is null or f.sha256 = any($1))
      and exists (select from images.image i where f.sha256 in (i.kernel, i.initrd, i.root)) order by f.sha256`, [sha256s ?? null])).map(({ sha256, size }) => ({ sha256, size: Number(size) }))

/** A file that has gone in the meantime is nobody's any more, and is left out. */
export const hold = (tx: Tx, rack: string, sha256s: readonly string[]): Promise<unknown> =>
  tx.query('insert into images.held (rack, sha256) select $1, f.sha256 from images.file f where f.sha256 = any($2) on conflict do nothing', [rack, sha256s])

/** Takes away uploads that nobody goes on with, and files that no image has used for a day. Safe to run anywhere, any time. */
export async function sweep (tx: Tx): Promise<void> {
  const unused = await tx.query<{ upload: string }>(
    `delete from images.file f where f.created_at < now() - interval '1 day'
      and not exists (select from images.image i where f.sha256 in (i.kernel, i.initrd, i.root)) returning f.upload::text as upload`)
  await tx.query(
    `delete from images.upload u where u.id = any($1::uuid[])
      or (u.touched_at < now() - interval '1 hour' and not exists (select from images.file f where f.upload = u.id))`, [unused.map(({ upload }) => upload)])
}
