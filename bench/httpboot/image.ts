/** An image of random bytes that passes for one, imported over the API as an operator's would be, and on the rack before anything is measured. */
import { createHash, randomBytes } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { request } from 'node:http'
import { join } from 'node:path'
import { BedplateError } from '../../core/errors.ts'
import { until } from '../../test/kit/wait.ts'
import type { Bedplate } from '../dhcp/bedplate.ts'
import type { Place } from '../dhcp/place.ts'

export interface Part { readonly file: string, readonly size: number, readonly sha256: string }
export interface Stand { readonly folder: string, readonly kernel: Part, readonly initrd: Part, readonly root: Part }

/** Writes kernel, initrd and root of these sizes into a folder; the peer serves them from there. */
export async function makeStand (place: Place, sizes: { readonly kernel: number, readonly initrd: number, readonly root: number }): Promise<Stand> {
  const folder = join(place.folder, 'www')
  await mkdir(folder, { recursive: true })
  const part = async (name: string, size: number, shape: (bytes: Buffer) => void): Promise<Part> => {
    const bytes = randomBytes(size)
    shape(bytes)
    await writeFile(join(folder, name), bytes)
    return { file: join(folder, name), size, sha256: createHash('sha256').update(bytes).digest('hex') }
  }
  return {
    folder,
    kernel: await part('vmlinuz', sizes.kernel, bytes => { bytes.write('HdrS', 0x202, 'latin1'); bytes.writeUInt16LE(0xaa55, 0x1fe) }),
    initrd: await part('initrd.img', sizes.initrd, bytes => { Buffer.from([0x1f, 0x8b]).copy(bytes) }),
    root: await part('root.squashfs', sizes.root, bytes => { bytes.write('hsqs', 0, 'latin1'); bytes.writeBigUInt64LE(BigInt(sizes.root), 40) })
  }
}

/** Imports it, and resolves when the rack has every file. */
export async function importImage (place: Place, { region, racks, ask }: Bedplate, { kernel, initrd, root }: Stand): Promise<void> {
  const token = (await readFile(join(region.directory, 'admin.token'), 'utf8')).trim()
  for (const { file, sha256 } of [kernel, initrd, root]) await upload(join(place.folder, `${region.host.name}.sock`), token, sha256, file)
  await ask('POST', '/api/v1/images/', { name: 'bench', os: 'debian', release: '12', architecture: 'amd64', title: 'Bench', user: 'debian', kernel: kernel.sha256, initrd: initrd.sha256, root: root.sha256 })
  for (const { host } of racks) {
    for (const { sha256 } of [kernel, initrd, root]) {
      await until(async () => (await host.namespace.exec(['curl', '-sf', '-o', '/dev/null', '-m', '60', '-I', `http://127.0.0.1:5248/boot/files/${sha256}/x`])).code === 0, { timeout: 120_000, interval: 200, what: 'the rack to have the files' })
    }
  }
}

const upload = (socketPath: string, token: string, sha256: string, file: string): Promise<void> => new Promise((resolve, reject) => {
  const call = request({ socketPath, method: 'PUT', path: `/api/v1/images/files/${sha256}`, headers: { authorization: `Bearer ${token}`, 'content-type': 'application/octet-stream' } }, answer => {
    answer.resume()
    answer.on('end', () => { if ((answer.statusCode ?? 500) < 300) resolve(); else reject(new BedplateError('CONFLICT', { reason: `the upload of ${file} was answered with ${answer.statusCode}` })) })
  })
  call.on('error', reject)
  createReadStream(file).pipe(call)
})
