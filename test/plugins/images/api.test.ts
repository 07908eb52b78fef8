/** Import through the API, on a real database over real HTTP. */
import { randomBytes } from 'node:crypto'
import { request as httpRequest } from 'node:http'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { templateLimit } from '../../../plugins/images/description.ts'
import { chunkBytes, manifest } from '../../../plugins/images/manifest.ts'
import { pieces, storeFile } from '../../../plugins/images/upload.ts'
import { sweep } from '../../../plugins/images/store.ts'
import { testDatabase } from '../../kit/database.ts'
import type { TestDatabase } from '../../kit/database.ts'
import { until } from '../../kit/wait.ts'
import { fakeInitrd, fakeKernel, fakeRoot, serve, setupRegion, sha256 } from './rig.ts'
import type { Region } from './rig.ts'

let db: TestDatabase
let region: Region
let api: Awaited<ReturnType<typeof serve>>
beforeAll(async () => {
  db = await testDatabase({ migrations: [manifest] })
  region = setupRegion(db)
  api = await serve(region)
})
afterAll(async () => { await api?.close(); await db?.drop() })
beforeEach(() => db.query('truncate images.image, images.file, images.upload, images.chunk, images.held'))

const count = async (table: string): Promise<number> => Number((await db.query<{ n: string }>(`select count(*) n from images.${table}`))[0]!.n)
const put = (bytes: Uint8Array, name = sha256(bytes)) => fetch(`${api.url}/files/${name}`, { method: 'PUT', headers: { 'content-type': 'application/octet-stream' }, body: bytes.slice() })
const post = (body: unknown) => fetch(`${api.url}/`, { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) })
const head = (name: string) => fetch(`${api.url}/files/${name}`, { method: 'HEAD' })
const kernel = fakeKernel()
const initrd = fakeInitrd()
const root = fakeRoot(3 * chunkBytes + 17)
const body = { name: 'debian-12', os: 'debian', release: '12', architecture: 'amd64', title: 'Debian 12', user: 'debian', kernelOptions: 'quiet', kernel: sha256(kernel), initrd: sha256(initrd), root: sha256(root) }
const importImage = async (changes: Partial<typeof body> = {}): Promise<{ id: string }> => {
  for (const bytes of [kernel, initrd, root]) expect((await put(bytes)).ok).toBe(true)
  const response = await post({ ...body, ...changes })
  expect(response.status).toBe(201)
  return response.json() as Promise<{ id: string }>
}

describe('files', () => {
  test('an upload lands in pieces and is there afterwards', async () => {
    expect((await head(sha256(root))).status).toBe(404)
    const response = await put(root)
    expect(response.status).toBe(201)
    expect(await response.json()).toEqual({ sha256: sha256(root), size: root.length })
    expect(await count('chunk')).toBe(4)
    const there = await head(sha256(root))
    expect([there.status, there.headers.get('content-length')]).toEqual([200, String(root.length)])
  })

  test('a file that is there already is answered at once and stored once', async () => {
    await put(root)
    const again = await put(root)
    expect(again.status).toBe(200)
    expect(await count('upload')).toBe(1)
    expect(await count('chunk')).toBe(4)
  })

  test('content of another hash is refused and nothing of it is kept', async () => {
    const response = await put(root, 'a'.repeat(64))
    expect(await response.json()).toMatchObject({ code: 'FILE_CORRUPT' })
    expect([await count('file'), await count('upload'), await count('chunk')]).toEqual([0, 0, 0])
    expect((await head('a'.repeat(64))).status).toBe(404)
  })

  test('an upload that breaks off leaves nothing', async () => {
    const client = httpRequest(`${api.url}/files/${sha256(root)}`, { method: 'PUT', headers: { 'content-type': 'application/octet-stream', 'content-length': root.length } })
    client.on('error', () => {})
    client.write(root.subarray(0, 2 * chunkBytes))
    await until(async () => await count('chunk') > 0)
    client.destroy()
    await until(async () => await count('upload') === 0)
    expect([await count('file'), await count('chunk')]).toEqual([0, 0])
  })

  test('a corrupt upload at the same time as a good one of that name does it no harm', async () => {
    const begun = Promise.withResolvers<void>()
    const goOn = Promise.withResolvers<void>()
    const bad = fakeRoot(root.length, 6)
    async function * slowly () { yield bad.subarray(0, chunkBytes); begun.resolve(); await goOn.promise; yield bad.subarray(chunkBytes) }
    const refused = expect(storeFile(db, sha256(root), slowly())).rejects.toMatchObject({ code: 'FILE_CORRUPT' })
    await begun.promise
    expect((await put(root)).status).toBe(201)
    goOn.resolve()
    await refused
    expect((await read(sha256(root))).equals(root)).toBe(true)
  })

  test('five uploads of one file at once all succeed and one is kept', async () => {
    const answers = await Promise.all(Array.from({ length: 5 }, () => put(root)))
    expect(answers.every(({ ok }) => ok)).toBe(true)
    expect([await count('file'), await count('upload'), await count('chunk')]).toEqual([1, 1, 4])
  })

  test('an empty file has a hash too', async () => {
    expect((await put(new Uint8Array())).status).toBe(201)
    expect(await read(sha256(new Uint8Array()))).toEqual(Buffer.alloc(0))
  })

  test.each(['abc', 'A'.repeat(64), '..%2f..%2fetc%2fpasswd'])('a name that is no hash (%s) is refused', async name => expect((await put(root, name)).status).toBe(400))

  test('what is not sent as octets is refused', async () => {
    const response = await fetch(`${api.url}/files/${sha256(root)}`, { method: 'PUT', headers: { 'content-type': 'application/json' }, body: '{}' })
    expect(response.status).toBe(400)
  })

  test('pieces are cut to size whatever the stream gives', async () => {
    async function * stream () { yield Buffer.from('abcdefg'); yield Buffer.alloc(0); yield Buffer.from('hi') }
    const seen: string[] = []
    for await (const piece of pieces(stream(), 4)) seen.push(piece.toString())
    expect(seen).toEqual(['abcd', 'efgh', 'i'])
  })
})

/** The whole file as a rack reads it. */
async function read (name: string): Promise<Buffer> {
  const parts: Buffer[] = []
  for (let offset = 0; ;) {
    const { data, size } = await region.rpc.chunk({ sha256: name, offset }, { controller: 'rack', signal: new AbortController().signal })
    const bytes = Buffer.from(data, 'base64')
    parts.push(bytes)
    offset += bytes.length
    if (offset >= size) return Buffer.concat(parts)
  }
}

describe('pieces for racks', () => {
  test('a file read from anywhere gives its own bytes', async () => {
    const content = randomBytes(2 * chunkBytes + 100)
    await put(content)
    expect((await read(sha256(content))).equals(content)).toBe(true)
    for (const offset of [1, chunkBytes - 1, chunkBytes, chunkBytes + 5, 2 * chunkBytes + 99, content.length, content.length + 10, 50 * chunkBytes]) {
      const { data, size } = await region.rpc.chunk({ sha256: sha256(content), offset }, { controller: 'rack', signal: new AbortController().signal })
      expect(size).toBe(content.length)
      const bytes = Buffer.from(data, 'base64')
      expect(bytes.equals(content.subarray(offset, offset + bytes.length))).toBe(true)
      expect(bytes.length > 0).toBe(offset < content.length)
    }
  })
  test('a file nobody imported is NOT_FOUND', async () => {
    await expect(region.rpc.chunk({ sha256: 'b'.repeat(64), offset: 0 }, { controller: 'rack', signal: new AbortController().signal })).rejects.toMatchObject({ code: 'NOT_FOUND' })
  })
})

describe('images', () => {
  test('an image is made of uploaded files and shown with their sizes', async () => {
    const made = await importImage()
    expect(made).toMatchObject({ name: 'debian-12', user: 'debian', kernelOptions: 'quiet', way: 'http', kernel: { sha256: sha256(kernel), size: kernel.length }, root: { size: root.length }, racks: [] })
    expect(await (await fetch(`${api.url}/${made.id}`)).json()).toEqual(made)
    expect(await (await fetch(`${api.url}/debian-12`)).json()).toEqual(made)
    expect(await (await fetch(`${api.url}/`)).json()).toEqual({ items: [made], next: null })
  })

  test('an image keeps the way it was imported with', async () => {
    const blocks = fakeRoot(16 * 512)
    for (const bytes of [kernel, initrd, blocks]) await put(bytes)
    for (const way of ['iscsi', 'initrd']) {
      const response = await post({ ...body, root: sha256(blocks), way })
      expect(response.status).toBe(201)
      const made = await response.json() as { id: string }
      expect(await (await fetch(`${api.url}/${made.id}`)).json()).toMatchObject({ way })
    }
  })

  test('a root that its way cannot bring is refused, and what to do is said', async () => {
    await importImage()
    const refused = async (way: string, size: number) => {
      await db.query('update images.file set size = $1 where sha256 = $2', [size, body.root])
      const answer = await (await post({ ...body, way })).json() as { status?: number, detail: string }
      return answer.status === undefined ? 'made' : `${answer.status} ${answer.detail}`
    }
    expect(await refused('initrd', 2 ** 32)).toBe('422 The image cannot be imported: the root has 4294967296 bytes, and the way "initrd" brings less than 4 GiB. Give it the way "http" or "iscsi"')
    expect(await refused('initrd', 2 ** 32 - 1)).toBe('made')
    expect(await refused('iscsi', 2 ** 32 + 511)).toBe('422 The image cannot be imported: the root has 4294967807 bytes, and the way "iscsi" takes whole blocks of 512 only. Pad it (truncate -s %512 <file>), or give it the way "http"')
    expect(await refused('iscsi', 2 ** 33)).toBe('made')
    expect(await refused('http', 2 ** 32 + 511)).toBe('made')
  })
  test('an image keeps its templates, and one without any has none', async () => {
    for (const bytes of [kernel, initrd, root]) await put(bytes)
    const templates = { ipxe: '#!ipxe\necho {{title}} "\\" $x\n', grub: 'x'.repeat(templateLimit) }
    const made = await (await post({ ...body, templates })).json() as { id: string }
    expect(made).toMatchObject({ templates })
    expect(await (await fetch(`${api.url}/${made.id}`)).json()).toEqual(made)
    expect(await (await fetch(`${api.url}/`)).json()).toEqual({ items: [made], next: null })
    expect((await region.provides.images.find(db, made.id))?.templates).toEqual(templates)
    for (const none of [{}, { templates: {} }]) {
      const plain = await (await post({ ...body, ...none })).json() as { id: string }
      expect(plain).not.toHaveProperty('templates')
      expect(await region.provides.images.find(db, plain.id)).not.toHaveProperty('templates')
    }
  })

  test('a template that no loader could read is refused, and why is said', async () => {
    for (const bytes of [kernel, initrd, root]) await put(bytes)
    const refused = async (templates: unknown) => { const { status, detail } = await (await post({ ...body, templates })).json() as { status: number, detail: string }; return `${status} ${detail}` }
    expect(await refused({ ipxe: 'kernel x' })).toBe('422 The image cannot be imported: the template (templates.ipxe) does not begin with the line "#!ipxe"')
    expect(await refused({ grub: 'a\u0000' })).toContain('422 The image cannot be imported: the template (templates.grub) is not printable ASCII in line 1')
    expect(await refused({ pxelinux: 'x'.repeat(templateLimit + 1) })).toMatch(/^400 .*templates\.pxelinux must NOT have more than 16384 characters/)
    expect(await refused({ lilo: 'x' })).toMatch(/^400 .*lilo/)
    expect(await refused({ grub: 7 })).toMatch(/^400 .*templates\.grub must be string/)
    expect(await count('image')).toBe(0)
  })

  test('an image whose file was never uploaded is refused with its part and hash', async () => {
    await put(kernel)
    const response = await post(body)
    expect(response.status).toBe(422)
    expect(await response.json()).toMatchObject({ code: 'IMAGE_INVALID', detail: expect.stringContaining(`${body.initrd} (initrd) has not been uploaded`) })
  })

  test('files in each other\'s place are refused', async () => {
    for (const bytes of [kernel, initrd, root]) await put(bytes)
    const response = await post({ ...body, kernel: body.root, root: body.kernel })
    expect(await response.json()).toMatchObject({ code: 'IMAGE_INVALID', detail: expect.stringContaining('the kernel is not a Linux kernel') })
    expect(await count('image')).toBe(0)
  })

  test.each([{ name: 'no spaces' }, { architecture: 'vax' }, { user: 'Root!' }, { kernelOptions: 'a\nb' }, { way: 'nfs' }, { colour: 'red' }])('%j in the body is refused', async changes => {
    for (const bytes of [kernel, initrd, root]) await put(bytes)
    expect((await post({ ...body, ...changes })).status).toBe(400)
  })

  test('of several images of one name the newest is found, and the newest of an architecture is the ephemeral one', async () => {
    await importImage()
    const newer = await importImage({ release: '12.1' })
    const other = await importImage({ name: 'arm', architecture: 'arm64' })
    const { images } = region.provides
    expect((await images.find(db, 'debian-12'))?.id).toBe(newer.id)
    expect((await images.ephemeral(db, 'amd64'))?.id).toBe(newer.id)
    expect((await images.ephemeral(db, 'arm64'))?.id).toBe(other.id)
    expect(await images.ephemeral(db, 's390x')).toBeUndefined()
    expect(await images.list(db)).toHaveLength(3)
  })

  test('the list goes page by page', async () => {
    const ids = [await importImage(), await importImage(), await importImage()].map(({ id }) => id)
    const first = await (await fetch(`${api.url}/?limit=2`)).json() as { items: { id: string }[], next: string }
    expect(first.items.map(({ id }) => id)).toEqual(ids.slice(0, 2))
    const second = await (await fetch(`${api.url}/?limit=2&after=${first.next}`)).json() as { items: { id: string }[], next: null }
    expect([second.items.map(({ id }) => id), second.next]).toEqual([ids.slice(2), null])
  })

  test('deleting takes the image away and tells racks to forget its files, but not those of another image', async () => {
    const { id } = await importImage()
    const otherRoot = fakeRoot(5000, 1)
    await put(otherRoot)
    await importImage({ name: 'other', root: sha256(otherRoot) })
    const from = await db.feed.position()
    expect((await fetch(`${api.url}/${id}`, { method: 'DELETE' })).status).toBe(204)
    expect((await fetch(`${api.url}/${id}`)).status).toBe(404)
    expect((await fetch(`${api.url}/${id}`, { method: 'DELETE' })).status).toBe(404)
    const keys = await region.touches!((await db.feed.since(from)).changes)
    expect(keys.map(key => key.id).sort()).toEqual([body.kernel, body.initrd, body.root].sort())
    expect((await region.wanted!('rack', keys)).map(entry => entry.id).sort()).toEqual([body.kernel, body.initrd].sort())
  })
})

describe('what racks are told and tell', () => {
  test('every file of every image is wanted, loose uploads are not', async () => {
    await importImage()
    await put(fakeRoot(200, 1))
    expect((await region.wanted!('rack')).map(({ kind, id, value }) => [kind, id, 'size' in value && value.size]).sort()).toEqual([
      ['file', body.kernel, kernel.length], ['file', body.initrd, initrd.length], ['file', body.root, root.length]].sort())
  })

  test('an image shows the racks that hold all of it', async () => {
    const { id } = await importImage()
    const at = new Date().toISOString()
    const held = (rack: string, ...names: string[]) => db.tx(tx => region.facts!(tx, rack, names.map(name => ({ kind: 'held' as const, at, body: { sha256: name, seconds: 1 } }))))
    await held('one', body.kernel, body.initrd, body.root, 'c'.repeat(64))
    await held('two', body.kernel)
    await held('one', body.kernel)
    expect(await (await fetch(`${api.url}/${id}`)).json()).toMatchObject({ racks: ['one'] })
  })
})

describe('the sweep', () => {
  test('takes uploads nobody goes on with and files unused for a day, and nothing else', async () => {
    await importImage()
    const unused = fakeRoot(300, 2)
    const fresh = fakeRoot(300, 3)
    await put(unused)
    await put(fresh)
    await db.query(`update images.file set created_at = now() - interval '2 days' where sha256 <> $1`, [sha256(fresh)])
    await db.query(`insert into images.upload (touched_at) values (now() - interval '2 hours'), (now())`)
    await db.tx(sweep)
    expect(await count('file')).toBe(4)
    expect(await count('upload')).toBe(5) // four files and the one that may go on
    expect((await head(sha256(unused))).status).toBe(404)
  })
})
