/** What is behind the names that loaders ask for, over TFTP and HTTP alike; an initrd with a root beside it; and plugins that answer first. */
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import { createRequestHook, patience } from '../../../plugins/boot/firmware/hook.ts'
import { archiveAround } from '../../../plugins/boot/firmware/joined.ts'
import type { BootAnswer, BootRequest } from '../../../plugins/boot/manifest.ts'
import type { BootFiles } from '../../../plugins/boot/script/ipxe.ts'
import { manualClock } from '../../kit/clock.ts'
import { download, Refused } from './client.ts'
import { fakeFiles } from './fakes.ts'
import { folder, rackHalf } from './rig.ts'

const mac = '52:54:00:00:00:07'
const hash = (digit: string): string => digit.repeat(64)
const [kernel, initrd, root] = [Buffer.alloc(5000, 'k'), Buffer.alloc(3001, 'i'), Buffer.alloc(70_002, 'r')]
const files: BootFiles = { kernel: { sha256: hash('1'), size: kernel.length }, initrd: { sha256: hash('2'), size: initrd.length }, root: { sha256: hash('3'), size: root.length }, options: '', way: 'initrd' }
const entry = { machine: '7', hostname: 'otter', purpose: 'commission' as const, token: 'tok', files, reason: null }

/** What the kernel would unpack behind `before` bytes: the names and contents of a cpio archive. */
function unpack (bytes: Buffer, before: number): { readonly name: string, readonly content: Buffer }[] {
  const found: { name: string, content: Buffer }[] = []
  let at = before
  while (bytes[at] === 0) at++
  for (;;) {
    expect([at % 4, bytes.toString('latin1', at, at + 6)]).toEqual([0, '070701'])
    const field = (index: number): number => parseInt(bytes.toString('latin1', at + 6 + index * 8, at + 14 + index * 8), 16)
    const [size, length] = [field(6), field(11)]
    const name = bytes.toString('latin1', at + 110, at + 110 + length - 1)
    const from = at + Math.ceil((110 + length) / 4) * 4
    if (name === 'TRAILER!!!') return found
    found.push({ name, content: bytes.subarray(from, from + size) })
    at = Math.ceil((from + size) / 4) * 4
  }
}

test.each([[0, 0], [1, 1], [2, 3], [3, 7], [4, 4096], [4097, 2]])('behind %i bytes a file of %i lies where the kernel looks for it', (before, size) => {
  const { head, tail } = archiveAround('root.squashfs', size, before)
  const content = Buffer.alloc(size, 'x')
  expect(unpack(Buffer.concat([Buffer.alloc(before, 'i'), head, content, tail]), before)).toEqual([{ name: 'root.squashfs', content }])
})
test('a file that such an archive cannot hold is refused', () => { expect(() => archiveAround('x', 2 ** 32, 0)).toThrow(RangeError) })

describe('the rack half', () => {
  let disk: Awaited<ReturnType<typeof folder>>
  let rack: Awaited<ReturnType<typeof rackHalf>>
  let port: number
  beforeAll(async () => {
    disk = await folder({ 'undionly.kpxe': Buffer.from('loader'), 'grubnetx64.efi.signed': Buffer.from('grub') })
    for (const [name, bytes] of Object.entries({ kernel, initrd, root })) await writeFile(join(disk.path, name), bytes)
    rack = await rackHalf(fakeFiles({ [hash('1')]: join(disk.path, 'kernel'), [hash('2')]: join(disk.path, 'initrd'), [hash('3')]: join(disk.path, 'root'), [hash('4')]: join(disk.path, 'root') }).store, { loaderDirectory: disk.path })
    for (const service of rack.running.services) if (['tftp', 'loaders'].includes(service.name)) await service.start(new AbortController().signal)
    rack.running.apply?.({ put: [{ kind: 'machine', id: mac, value: entry }, { kind: 'unknown', id: 'arm64', value: { ...files, way: 'http' } }], remove: [] }, true)
    port = rack.tftpPort
  })
  afterAll(async () => {
    for (const service of rack.running.services) await service.stop()
    await rack.close()
    await disk.remove()
  })
  const tftp = async (name: string): Promise<string> => (await download(port, name)).toString()
  const http = async (path: string): Promise<Response> => await fetch(`${rack.base}/boot${path}`)

  test('GRUB\'s first text names the machine\'s own, and that says what to do', async () => {
    expect(await tftp('/grub/grub.cfg')).toContain('source (tftp,127.0.0.1)/grub/$grub_cpu/grub.cfg-01-$net_default_mac')
    const text = await tftp(`/grub/x86_64/grub.cfg-01-${mac}`)
    expect(text).toContain(`linux (tftp,127.0.0.1)/boot/files/${hash('1')}/vmlinuz boot=bedplate bedplate.root=initrd bedplate.size=70002 bedplate.url=http://127.0.0.1:5248/provision/tok BOOTIF=01-52-54-00-00-00-07`)
    expect(await (await http(`/grub/grub.cfg-01-${mac}`)).text()).toContain(`/boot/initrd/${hash('2')}/${hash('3')}/initrd.img`)
  })
  test('a machine nobody knows is enlisted by the image of the processor its loader names', async () => {
    expect(await tftp('/grub/arm64/grub.cfg-01-52:54:00:00:00:99')).toContain('/provision/enlist')
    expect(await tftp('/grub/x86_64/grub.cfg-01-52:54:00:00:00:99')).toContain('no image has been imported')
    expect(await (await http('/ipxe/52-54-00-00-00-99?arch=arm64')).text()).toContain('/provision/enlist')
  })
  test('PXELINUX and iPXE find theirs, by either transport', async () => {
    expect(await tftp('pxelinux.cfg/01-52-54-00-00-00-07')).toContain(`KERNEL /boot/files/${hash('1')}/vmlinuz`)
    expect(await (await http('/pxelinux.cfg/01-52-54-00-00-00-07')).text()).toContain('LABEL bedplate')
    expect(await tftp('boot.ipxe')).toContain('chain --replace --autofree http://127.0.0.1:5248/boot/ipxe/${mac:hexhyp}?arch=${buildarch}')
    expect(await (await http('/boot.ipxe')).text()).toContain(`chain --replace --autofree ${rack.base}/boot/ipxe/`)
    expect((await http('/pxelinux.cfg/default')).status).toBe(404)
  })
  test('the files of images by TFTP, those that somebody is to boot', async () => {
    expect(await download(port, `/boot/files/${hash('1')}/vmlinuz`)).toEqual(kernel)
    await expect(download(port, `/boot/files/${hash('4')}/x`)).rejects.toBeInstanceOf(Refused)
    await expect(download(port, `/boot/files/${hash('1')}/../x`)).rejects.toBeInstanceOf(Refused)
  })
  test('an initrd with the root beside it is one file, the same by both transports', async () => {
    const path = `/boot/initrd/${hash('2')}/${hash('3')}/initrd.img`
    const response = await http(path.replace('/boot', ''))
    const body = Buffer.from(await response.arrayBuffer())
    expect([body.subarray(0, initrd.length).equals(initrd), Number(response.headers.get('content-length'))]).toEqual([true, body.length])
    expect(unpack(body, initrd.length)).toEqual([{ name: 'root.squashfs', content: root }])
    expect(await download(port, path, { blksize: 1468, windowsize: 4 })).toEqual(body)
    expect((await fetch(`${rack.base}${path}`, { method: 'HEAD' })).headers.get('content-length')).toBe(String(body.length))
    expect((await http(`/initrd/${hash('2')}/${hash('4')}/initrd.img`)).status).toBe(404)
    await expect(download(port, `/boot/initrd/${hash('2')}/${hash('4')}/initrd.img`)).rejects.toBeInstanceOf(Refused)
  })
  test('shim\'s next file is found under the name it asks for, two slashes and all', async () => {
    expect(await tftp('//grubx64.efi')).toBe('grub')
    expect(await (await http('/loaders//grubx64.efi')).text()).toBe('grub')
  })
  test('what was fetched by name of a machine is reported as that machine\'s', async () => {
    rack.reports.length = 0
    await tftp(`/grub/x86_64/grub.cfg-01-${mac}`)
    await expect.poll(() => rack.reports.filter(({ what }) => String(what).endsWith(mac))).toEqual([expect.objectContaining({ machine: '7', mac, by: 'tftp', failure: null })])
  })
  test('a plugin answers first: with a text, or with another entry', async () => {
    const asked: BootRequest[] = []
    let answer: BootAnswer | undefined = { script: 'mine\n' }
    rack.running.provides.boot.hooks.request.tapPromise('other', async request => { asked.push(request); return answer })
    expect(await tftp(`/grub/x86_64/grub.cfg-01-${mac}`)).toBe('mine\n')
    answer = { machine: { ...entry, purpose: 'local', files: null, token: null } }
    expect(await (await http('/ipxe/52-54-00-00-00-07')).text()).toContain('boots from its disk')
    answer = undefined
    expect(await (await http('/ipxe/52-54-00-00-00-07')).text()).toContain('otter: commission')
    expect(asked[0]).toEqual({ mac, address: '127.0.0.1', firmware: null, architecture: 'amd64', loader: 'grub', by: 'tftp' })
  })
})

describe('a bad tap of the hook costs nothing but its time', () => {
  const request: BootRequest = { mac, address: '10.0.0.9', firmware: 7, architecture: null, loader: 'ipxe', by: 'http' }
  const failures: string[] = []
  const clock = manualClock(0)
  const make = () => createRequestHook({ clock, failed: (tap, reason) => { failures.push(`${tap}: ${reason}`) } })
  afterEach(() => { failures.length = 0 })
  test.each<[string, (hook: ReturnType<typeof make>) => void, string]>([
    ['throws', hook => { hook.tap('bad', () => { throw new Error('broken') }) }, 'broken'],
    ['rejects', hook => { hook.tapPromise('bad', async () => { throw new Error('later') }) }, 'later'],
    ['fails by its callback', hook => { hook.tapAsync('bad', (_, done) => { done(new Error('called')) }) }, 'called'],
    ['answers with nonsense', hook => { hook.tap('bad', () => 7 as never) }, 'it answered what cannot be served'],
    ['answers with half an entry', hook => { hook.tap('bad', () => ({ machine: { hostname: 'x' } }) as never) }, 'it answered what cannot be served']
  ])('one that %s: the next one is asked', async (_, tap, reason) => {
    const hook = make()
    tap(hook)
    hook.tap('good', () => ({ script: 'good' }))
    expect(await hook.promise(request)).toEqual({ script: 'good' })
    expect(failures).toEqual([`bad: ${reason}`])
  })
  test('one that never answers is left after its time', async () => {
    const hook = make()
    hook.tapPromise('bad', () => new Promise(() => {}))
    const answer = hook.promise(request)
    await clock.advance(patience)
    expect(await answer).toBeUndefined()
    expect(failures).toEqual([`bad: it took longer than ${patience} ms`])
  })
})
