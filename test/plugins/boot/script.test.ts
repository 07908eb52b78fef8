/** Boot scripts: golden texts for each purpose, and that no name or option can smuggle in a command. */
import fc from 'fast-check'
import { fileURLToPath } from 'node:url'
import { describe, expect, test } from 'vitest'
import { architectureOf, bootScript, kernelOptions, printable } from '../../../plugins/boot/script/ipxe.ts'
import type { BootFiles, MachineEntry } from '../../../plugins/boot/script/ipxe.ts'

const where = { base: 'http://10.0.0.1:5248', mac: '52:54:00:00:00:07', console: 'console=tty0 console=ttyS0,115200' }
const files: BootFiles = { kernel: { sha256: '1'.repeat(64), size: 10 }, initrd: { sha256: '2'.repeat(64), size: 20 }, root: { sha256: '3'.repeat(64), size: 30 }, options: 'quiet net.ifnames=0' }
const machine: MachineEntry = { machine: '7', hostname: 'able-otter', purpose: 'commission', token: 'tok-en', files, reason: null }
const golden = (name: string): string => fileURLToPath(new URL(`../../golden/boot/${name}.ipxe`, import.meta.url))

describe('golden scripts', () => {
  test.each<[string, MachineEntry | undefined, BootFiles | undefined]>([
    ['commission', machine, undefined],
    ['deploy', { ...machine, purpose: 'deploy' }, files],
    ['release', { ...machine, purpose: 'release' }, undefined],
    ['enlist', undefined, files],
    ['local', { ...machine, purpose: 'local', token: null, files: null }, files],
    ['poweroff', { ...machine, purpose: 'poweroff', token: null, files: null, reason: 'it is Ready' }, files],
    ['no-image', undefined, undefined],
    ['image-gone', { ...machine, purpose: 'deploy', files: null, reason: 'Image 4 is gone.' }, files],
    ['no-session', { ...machine, token: null }, undefined]
  ])('%s', async (name, entry, unknown) => { await expect(bootScript(entry, unknown, where)).toMatchFileSnapshot(golden(name)) })

  test('over IPv6 the rack is in brackets wherever it is named', () => {
    const script = bootScript(machine, undefined, { ...where, base: 'http://[fd00::1]:5248' })
    expect(script).toContain('kernel http://[fd00::1]:5248/boot/files/1111')
    expect(script).toContain('bedplate.url=http://[fd00::1]:5248/provision/tok-en ')
  })
})

describe('the kernel command line', () => {
  test('has everything the ephemeral system reads, in this order', () => expect(kernelOptions(files, 'http://10.0.0.1:5248/provision/tok-en', where)).toBe(
    `initrd=initrd.img boot=bedplate bedplate.root=http://10.0.0.1:5248/boot/files/${'3'.repeat(64)}/root.squashfs bedplate.size=30 bedplate.url=http://10.0.0.1:5248/provision/tok-en ` +
    'BOOTIF=01-52-54-00-00-00-07 ip=dhcp quiet net.ifnames=0 console=tty0 console=ttyS0,115200'))
  test('an image without options leaves no gap', () => expect(kernelOptions({ ...files, options: ' ' }, 'u', where)).not.toContain('  '))
})

describe('foreign words', () => {
  test('control characters, settings and command separators are taken out', () => expect(printable('a\nb ${net0/mac} || reboot && exit # c')).toBe('a b {net0/mac} reboot exit c'))
  test('what kernels need stays', () => expect(printable('ds=nocloud;s=http://x/ foo="a,b" a||b $HOME')).toBe('ds=nocloud;s=http://x/ foo="a,b" a||b $HOME'))
  test('no hostname, reason or option whatever makes another line, setting or command', () => fc.assert(fc.property(fc.string({ unit: 'binary', maxLength: 60 }), fc.constantFrom('commission', 'deploy', 'local', 'poweroff'), fc.boolean(), (text, purpose, has) => {
    const script = (word: string) => bootScript({ ...machine, purpose: purpose as 'deploy', hostname: word, reason: word, files: has ? { ...files, options: word } : null }, undefined, { ...where, console: word })
    const shape = (source: string) => source.split('\n').map(line => [line.split(' ')[0], line.match(/\$\{/g)?.length ?? 0, line.split(' ').filter(word => word === '||' || word === '&&').length])
    expect(shape(script(text))).toEqual(shape(script('x')))
  }), { numRuns: 500 }))
})

test.each([['x86_64', 'amd64'], ['i386', 'amd64'], [undefined, 'amd64'], ['arm64', 'arm64'], ['arm32', 'armhf']])('iPXE built for %s means %s', (build, architecture) => expect(architectureOf(build)).toBe(architecture))
