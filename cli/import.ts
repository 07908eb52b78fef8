/** Bringing an image in: reads its folder or archive, uploads the files the region does not have, and makes the image. */
import { createHash } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { mkdtemp, readdir, readFile, rm, stat } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { reasonOf } from '../core/errors.ts'
import { checkTemplate, parts, readDescription, templateLimit } from '../plugins/images/description.ts'
import type { Description } from '../plugins/images/description.ts'
import { loaders } from '../plugins/images/manifest.ts'
import type { Templates } from '../plugins/images/manifest.ts'
import { extract } from './archive.ts'
import { Failure, sentenceOf } from './failure.ts'
import { bytes } from './output.ts'
import type { Session } from './session.ts'

interface File { readonly sha256: string, readonly size: number }
export interface Image {
  readonly id: string, readonly name: string, readonly title: string, readonly architecture: string, readonly user: string, readonly kernelOptions: string, readonly way: string, readonly templates?: Templates
  readonly kernel: File, readonly initrd: File, readonly root: File, readonly createdAt: string, readonly racks: readonly string[]
}

/** Throws Failure naming what is wrong with the image, or what the region says. */
export async function importImage (session: Session, path: string): Promise<Image> {
  const kind = await stat(path).catch((error: unknown) => { throw new Failure(`${path} cannot be read: ${sentenceOf(error)}`) })
  if (kind.isDirectory()) return await importFolder(session, path)
  const folder = await mkdtemp(join(tmpdir(), 'bedplate-import-'))
  try {
    await extract(path, folder, (read, last) => session.output.progress(`unpack ${path}: ${bytes(read)} of ${bytes(kind.size)}`, last))
    return await importFolder(session, folder)
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}

async function importFolder ({ client, output }: Session, folder: string): Promise<Image> {
  const description = await describe(folder)
  const templates = await readTemplates(folder, description) // before gigabytes are sent
  const hashes: Record<string, string> = {}
  for (const part of parts) {
    const file = join(folder, description[part])
    const { size } = await stat(file)
    const follow = (verb: string) => metered(file, size, (count, last) => output.progress(`${verb} ${description[part]}: ${bytes(count)} of ${bytes(size)}`, last))
    const hash = createHash('sha256')
    for await (const chunk of follow('read')) hash.update(chunk)
    const sha256 = hashes[part] = hash.digest('hex')
    if (await client.exists(`/images/files/${sha256}`)) output.note(`${description[part]} is there already`)
    else await client.upload(`/images/files/${sha256}`, follow('upload'))
  }
  const { name, os, release, architecture, title, user, kernelOptions, way } = description
  return await client.send<Image & { readonly id: string }>('POST', '/images', { name, os, release, architecture, title, user, kernelOptions, way, ...templates === undefined ? {} : { templates }, ...hashes })
}

async function describe (folder: string): Promise<Description> {
  const text = await readFile(join(folder, 'image.json'), 'utf8').catch(() => { throw new Failure(`There is no image.json in ${folder}. It says what the image consists of; plugins/images/README.md shows one.`) })
  try {
    return readDescription(text, await readdir(folder))
  } catch (error) { throw new Failure(reasonOf(error), { code: 'IMAGE_INVALID' }) }
}

/** The texts of the files that the description names for boot loaders; undefined when it names none. */
async function readTemplates (folder: string, { templates }: Description): Promise<Templates | undefined> {
  if (templates === undefined) return undefined
  const texts: { -readonly [loader in keyof Templates]: Templates[loader] } = {}
  for (const loader of loaders) {
    const name = templates[loader]
    if (name === undefined) continue
    try {
      // one byte more than may be tells that it is too long, however long it is; latin1, so that a byte is a character and nothing is mended
      let text = ''
      for await (const piece of createReadStream(join(folder, name), { end: templateLimit, encoding: 'latin1' }) as AsyncIterable<string>) text += piece
      checkTemplate(loader, name, text)
      texts[loader] = text
    } catch (error) { throw new Failure(reasonOf(error), { code: 'IMAGE_INVALID' }) }
  }
  return texts
}

/** The file, telling how much of it has gone: after each 4 MiB and at its end. */
async function * metered (file: string, size: number, tell: (count: number, last: boolean) => void): AsyncGenerator<Uint8Array> {
  let [count, told] = [0, 0]
  for await (const chunk of createReadStream(file, { highWaterMark: 1 << 18 }) as AsyncIterable<Uint8Array>) {
    yield chunk
    count += chunk.length
    if (count - told >= 1 << 22 && count < size) { tell(count, false); told = count }
  }
  tell(count, true)
}
