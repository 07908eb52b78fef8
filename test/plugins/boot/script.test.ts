/** Boot scripts: golden texts for each purpose, and that no name or option can smuggle in a command. */
import fc from 'fast-check'
import { fileURLToPath } from 'node:url'
import { describe, expect, test } from 'vitest'
import { genericGrub, grubConfiguration } from '../../../plugins/boot/script/grub.ts'
import { architectureOf, bootScript, genericScript, kernelOptions, printable } from '../../../plugins/boot/script/ipxe.ts'
import type { BootFiles, MachineEntry } from '../../../plugins/boot/script/ipxe.ts'
import { configurationNamed } from '../../../plugins/boot/script/names.ts'
import { pxelinuxConfiguration } from '../../../plugins/boot/script/pxelinux.ts'
import { taskOf } from '../../../plugins/boot/script/task.ts'

const where = { base: 'http://10.0.0.1:5248', mac: '52:54:00:00:00:07', console: 'console=tty0 console=ttyS0,115200' }
const files: BootFiles = { kernel: { sha256: '1'.repeat(64), size: 10 }, initrd: { sha256: '2'.repeat(64), size: 20 }, root: { sha256: '3'.repeat(64), size: 30 }, options: 'quiet net.ifnames=0' }
const blocks: BootFiles = { ...files, root: { sha256: '3'.repeat(64), size: 4096 }, way: 'iscsi' }
const machine: MachineEntry = { machine: '7', hostname: 'able-otter', purpose: 'commission', token: 'tok-en', files, reason: null }
const golden = (name: string): string => fileURLToPath(new URL(`../../golden/boot/${name}`, import.meta.url))
const cases: [string, MachineEntry | undefined, BootFiles | undefined][] = [
  ['commission', machine, undefined],
  ['deploy', { ...machine, purpose: 'deploy' }, files],
  ['release', { ...machine, purpose: 'release' }, undefined],
  ['enlist', undefined, files],
  ['local', { ...machine, purpose: 'local', token: null, files: null }, files],
  ['poweroff', { ...machine, purpose: 'poweroff', token: null, files: null, reason: 'it is Ready' }, files],
  ['no-image', undefined, undefined],
  ['image-gone', { ...machine, purpose: 'deploy', files: null, reason: 'Image 4 is gone.' }, files],
  ['no-session', { ...machine, token: null }, undefined],
  ['root-by-iscsi', { ...machine, files: blocks }, undefined],
  ['root-with-initrd', { ...machine, files: { ...files, way: 'initrd' } }, undefined]
]
const grub = { ...where, device: '(tftp,10.0.0.1)' }
const texts: Readonly<Record<'ipxe' | 'grub' | 'pxelinux', (machine: MachineEntry | undefined, unknown: BootFiles | undefined) => string>> = {
  ipxe: (entry, unknown) => bootScript(entry, unknown, where),
  grub: (entry, unknown) => grubConfiguration(taskOf(entry, unknown, grub), grub),
  pxelinux: (entry, unknown) => pxelinuxConfiguration(taskOf(entry, unknown, where), where)
}

describe('golden scripts', () => {
  describe.each(Object.entries(texts))('for %s', (language, make) => {
    test.each(cases)('%s', async (name, entry, unknown) => { await expect(make(entry, unknown)).toMatchFileSnapshot(golden(`${name}.${language}`)) })
  })
  test('the first text of GRUB, and the one for any iPXE', async () => {
    await expect(genericGrub('(tftp,10.0.0.1)')).toMatchFileSnapshot(golden('generic.grub'))
    await expect(genericScript('http://10.0.0.1:5248')).toMatchFileSnapshot(golden('generic.ipxe'))
  })

  test.each([['initrd', 2 ** 32], ['iscsi', 4095]] as const)('a root that the way %s cannot bring (%i bytes) is said, in any language, and nothing is booted', (way, size) => {
    for (const make of Object.values(texts)) {
      const said = make({ ...machine, files: { ...files, root: { ...files.root, size }, way } }, undefined)
      expect(said).toContain(`able-otter is to get its root by the way ${way}, which cannot bring one of ${size} bytes.`)
      expect(said).toContain('Give it another one with bedplate machine set-boot; this machine looks again by itself.')
      expect(said).not.toContain('/boot/files/')
    }
  })
  test('over IPv6 the rack is in brackets wherever it is named', () => {
    const script = bootScript(machine, undefined, { ...where, base: 'http://[fd00::1]:5248' })
    expect(script).toContain('kernel http://[fd00::1]:5248/boot/files/1111')
    expect(script).toContain('bedplate.url=http://[fd00::1]:5248/provision/tok-en ')
    expect(bootScript({ ...machine, files: blocks }, undefined, { ...where, base: 'http://[fd00::1]:5248' })).toContain(' bedplate.root=iscsi:[fd00::1]:3260:iqn.2026-11.io.bedplate:root.3333')
  })
})

describe('the kernel command line', () => {
  test('has everything the ephemeral system reads, in this order', () => expect(kernelOptions(files, 'http://10.0.0.1:5248/provision/tok-en', where)).toBe(
    `initrd=initrd.img boot=bedplate bedplate.root=http://10.0.0.1:5248/boot/files/${'3'.repeat(64)}/root.squashfs bedplate.size=30 bedplate.url=http://10.0.0.1:5248/provision/tok-en ` +
    'BOOTIF=01-52-54-00-00-00-07 ip=dhcp quiet net.ifnames=0 console=tty0 console=ttyS0,115200'))
  test('an image without options leaves no gap', () => expect(kernelOptions({ ...files, options: ' ' }, 'u', where)).not.toContain('  '))
})

describe('foreign words', () => {
  test('control characters, settings and command separators are taken out', () => expect(printable('a\nb ${net0/mac} || reboot && exit ; chain x # c $${y} $$${z}')).toBe('a b {net0/mac} reboot exit chain x c {y} {z}'))
  test('what kernels need stays', () => expect(printable('ds=nocloud;s=http://x/ foo="a,b" a||b $HOME')).toBe('ds=nocloud;s=http://x/ foo="a,b" a||b $HOME'))
  test('GRUB gets each kernel option as one argument, and takes nothing in it for its own', () => {
    const text = texts.grub({ ...machine, files: { ...files, options: "ds=nocloud;s=http://x/ a=$root 'b {d} e|f" } }, undefined)
    expect(text).toContain(` 'ds=nocloud;s=http://x/' 'a=$root' ''\\''b' '{d}' 'e|f' console=tty0 `)
  })
  const odd = fc.string({ unit: 'binary', maxLength: 60 })
  const entryWith = (word: string, purpose: string, has: boolean): MachineEntry => ({ ...machine, purpose: purpose as 'deploy', hostname: word, reason: word, files: has ? { ...files, options: word } : null })
  const purposes = fc.constantFrom('commission', 'deploy', 'local', 'poweroff')
  test('no hostname, reason or option whatever makes another line, setting or command of iPXE', () => fc.assert(fc.property(odd, purposes, fc.boolean(), (text, purpose, has) => {
    const script = (word: string) => bootScript(entryWith(word, purpose, has), undefined, { ...where, console: word })
    const shape = (source: string) => source.split('\n').map(line => [line.split(' ')[0], line.match(/\$\{/g)?.length ?? 0, line.split(' ').filter(word => word === '||' || word === '&&').length])
    expect(shape(script(text))).toEqual(shape(script('x')))
  }), { numRuns: 500 }))
  test('nor of GRUB: outside of quotes there is what there always is', () => fc.assert(fc.property(odd, purposes, fc.boolean(), (text, purpose, has) => {
    const script = (word: string) => texts.grub(entryWith(word, purpose, has), undefined)
    const shape = (source: string) => source.replaceAll("'\\''", '').replace(/'[^']*'/g, '').split('\n').map(line => [line.split(' ').filter(Boolean)[0], line.replace(/[\w.,:/@%+=~ -]/g, '')])
    expect(shape(script(text))).toEqual(shape(script('x')))
  }), { numRuns: 500 }))
  test('nor of PXELINUX', () => fc.assert(fc.property(odd, purposes, fc.boolean(), (text, purpose, has) => {
    const script = (word: string) => texts.pxelinux(entryWith(word, purpose, has), undefined)
    const shape = (source: string) => source.split('\n').map(line => line.trimStart().split(' ')[0])
    expect(shape(script(text))).toEqual(shape(script('x')))
  }), { numRuns: 500 }))
})

describe('a template of the image', () => {
  const own = { ...machine, files: { ...files, templates: { ipxe: '#!ipxe\nkernel {{base}}{{kernel}} {{options}} x={{ mac }}\n{{nonsense}}', grub: 'linux {{base}}{{kernel}} {{options}}\ninitrd {{base}}{{initrd}}\n', pxelinux: 'APPEND {{options}}\n' } } }
  test('is filled in, for each loader in its own way; what is unknown stays to be seen', () => {
    expect(texts.ipxe(own, undefined)).toMatch(/^#!ipxe\nkernel http:\/\/10\.0\.0\.1:5248\/boot\/files\/1{64}\/vmlinuz initrd=initrd\.img boot=bedplate .* x=52:54:00:00:00:07\n\{\{nonsense\}\}\n$/)
    expect(texts.grub(own, undefined)).toMatch(/^linux \(tftp,10\.0\.0\.1\)\/boot\/files\/1{64}\/vmlinuz boot=bedplate .*\ninitrd \(tftp,10\.0\.0\.1\)\/boot\/files\/2{64}\/initrd\.img\n$/)
    expect(texts.pxelinux(own, undefined)).toMatch(/^APPEND boot=bedplate /)
  })
})

describe('names of configurations', () => {
  const mac = '52:54:00:ab:cd:ef'
  test.each<[string, ReturnType<typeof configurationNamed>]>([
    ['/grub/grub.cfg', { language: 'grub', mac: null, architecture: null }], ['grub.cfg', { language: 'grub', mac: null, architecture: null }], ['/boot/grub/x86_64-efi/grub.cfg', { language: 'grub', mac: null, architecture: 'amd64' }],
    ['/grub/arm64/grub.cfg-01-52:54:00:ab:cd:ef', { language: 'grub', mac, architecture: 'arm64' }], ['/grub/grub.cfg-01-52-54-00-AB-CD-EF', { language: 'grub', mac, architecture: null }], ['grub.cfg-52:54:00:ab:cd:ef', { language: 'grub', mac, architecture: null }],
    ['pxelinux.cfg/01-52-54-00-ab-cd-ef', { language: 'pxelinux', mac, architecture: null }], ['/boot.ipxe', { language: 'ipxe', mac: null, architecture: null }], ['boot/ipxe/52-54-00-ab-cd-ef', { language: 'ipxe', mac, architecture: null }],
    ['pxelinux.cfg/default', undefined], ['pxelinux.cfg/0A000064', undefined], ['pxelinux.cfg/b8945908-d6a6-41a9-611d-74a6ab80b83d', undefined], ['/grub/x86_64-efi/command.lst', undefined], ['grub.cfg-0A000064', undefined], ['x/grub.cfg', undefined], ['../grub/grub.cfg', undefined]
  ])('%s', (name, named) => expect(configurationNamed(name)).toEqual(named))
})

test.each([['x86_64', 'amd64'], ['i386', 'amd64'], [undefined, 'amd64'], ['arm64', 'arm64'], ['arm32', 'armhf']])('iPXE built for %s means %s', (build, architecture) => expect(architectureOf(build)).toBe(architecture))
