/** image.json and the look of an image's files. */
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { BedplateError } from '../../../core/errors.ts'
import { checkPart, checkTemplate, parts, readDescription, templateLimit } from '../../../plugins/images/description.ts'
import { loaders } from '../../../plugins/images/manifest.ts'
import { fakeInitrd, fakeKernel, fakeRoot } from './rig.ts'

const good = { name: 'debian-12', os: 'debian', release: '12', architecture: 'amd64', title: 'Debian 12', user: 'debian', kernelOptions: 'quiet', way: 'iscsi', kernel: 'vmlinuz', initrd: 'initrd.img', root: 'root.squashfs' }
const reason = (work: () => unknown): string => {
  try { work() } catch (error) {
    expect(error).toBeInstanceOf(BedplateError)
    expect((error as BedplateError).code).toBe('IMAGE_INVALID')
    return (error as BedplateError).message
  }
  return expect.fail('nothing was thrown')
}

describe('image.json', () => {
  test('a full description is read as it stands', () => expect(readDescription(JSON.stringify(good))).toEqual(good))
  test('kernel options may be left out', () => {
    const { kernelOptions, ...rest } = good
    expect(readDescription(JSON.stringify(rest)).kernelOptions).toBe('')
  })
  test('the way may be left out: the root then comes by HTTP, as it did before there was a choice', () => {
    const { way, ...rest } = good
    expect(readDescription(JSON.stringify(rest)).way).toBe('http')
  })
  test.each(['nfs', '', 7])('the way %j is refused, and the possible ones are named', way =>
    expect(reason(() => readDescription(JSON.stringify({ ...good, way })))).toContain('"way" must be one of http, iscsi, initrd'))
  test('everything wrong is named at once', () => {
    const said = reason(() => readDescription(JSON.stringify({ ...good, name: 'a b', architecture: 'pdp11', kernel: undefined, colour: 'red' })))
    expect(said).toContain('"name" must be')
    expect(said).toContain('one of amd64, arm64')
    expect(said).toContain('"kernel" is missing')
    expect(said).toContain('"colour" is not known')
  })
  test('a file that is not there is named, with what is', () =>
    expect(reason(() => readDescription(JSON.stringify(good), ['vmlinuz', 'root.squashfs']))).toContain('the file "initrd.img" (initrd) is missing; there is vmlinuz, root.squashfs'))
  test.each(['../vmlinuz', '/etc/passwd', 'a/b', '..', '.', ''])('the file name %j leads out of the folder and is refused', name =>
    expect(reason(() => readDescription(JSON.stringify({ ...good, kernel: name })))).toContain('"kernel" must be the name of a file beside image.json'))
  test('templates name files beside it, for any of the loaders', () => {
    const templates = { ipxe: 'boot.ipxe', pxelinux: 'boot.cfg' }
    expect(readDescription(JSON.stringify({ ...good, templates }))).toEqual({ ...good, templates })
    expect(readDescription(JSON.stringify({ ...good, templates: {} }))).toEqual(good)
  })
  test.each<[unknown, string]>([
    [null, '"templates" must be an object that names a file for each loader'], [[], '"templates" must be an object'], ['boot.ipxe', '"templates" must be an object'], [{ lilo: 'x' }, '"templates" has "lilo", which is none of ipxe, grub, pxelinux'],
    [{ grub: '../grub.cfg' }, '"templates.grub" must be the name of a file beside image.json, not "../grub.cfg"'], [{ grub: null }, '"templates.grub" must be the name'], [{ ipxe: 'absent' }, 'the file "absent" (templates.ipxe) is missing; there is vmlinuz']
  ])('the templates %j are refused', (templates, why) => expect(reason(() => readDescription(JSON.stringify({ ...good, templates }), ['vmlinuz', 'initrd.img', 'root.squashfs']))).toContain(why))
  test('a loader called as a part of every object is none', () => expect(reason(() => readDescription(`{"templates":{"__proto__":"x"}}`))).toContain('"templates" has "__proto__"'))
  test.each(['', '{', '[]', 'null', '7', '"text"'])('%j is no description', text => expect(reason(() => readDescription(text))).toContain('image.json'))
  test.each(['line\nbreak', 'tab\there', 'ümlaut'])('kernel options %j are refused', kernelOptions =>
    expect(reason(() => readDescription(JSON.stringify({ ...good, kernelOptions })))).toContain('"kernelOptions" must be'))
  test('whatever the text, it is read or refused with IMAGE_INVALID', () => fc.assert(fc.property(fc.oneof(fc.string(), fc.json(), fc.object().map(value => JSON.stringify({ ...good, ...value }))), text => {
    try { readDescription(text) } catch (error) { expect(error).toMatchObject({ code: 'IMAGE_INVALID' }) }
  }), { numRuns: 300 }))
})

describe('a template', () => {
  test('of the greatest length passes, and with line ends of either kind', () => {
    for (const loader of loaders) checkTemplate(loader, 'it', '#!ipxe\r\n\techo {{title}}\n'.padEnd(templateLimit, '#'))
    checkTemplate('ipxe', 'it', '#!ipxe')
  })
  test.each<[typeof loaders[number], string, string]>([
    ['grub', '', 'grub.cfg (templates.grub) is empty'], ['grub', ' \n', 'is empty'], ['grub', 'x'.repeat(templateLimit + 1), 'grub.cfg (templates.grub) is longer than 16384 bytes'],
    ['pxelinux', 'SAY a\nSAY b\u0000', 'is not printable ASCII in line 2'], ['grub', 'echo ü', 'is not printable ASCII in line 1'],
    ['ipxe', 'kernel x\n', 'does not begin with the line "#!ipxe"'], ['ipxe', '\n#!ipxe\n', 'does not begin'], ['ipxe', '#!ipxes\n', 'does not begin']
  ])('for %s that no loader could read is refused: %j', (loader, text, why) => expect(reason(() => checkTemplate(loader, 'grub.cfg', text))).toContain(why))
})

describe('the look of a file', () => {
  test('a kernel, an initrd and a squashfs pass', () => {
    checkPart('kernel', 'vmlinuz', fakeKernel(), 4096)
    checkPart('initrd', 'initrd.img', fakeInitrd(), 2000)
    checkPart('root', 'root.squashfs', fakeRoot(), 5000)
  })
  test.each([['1f8b08'], ['28b52ffd'], ['fd377a585a00'], ['02214c18'], ['425a68'], ['303730373031']])('an initrd may begin with %s', hex =>
    checkPart('initrd', 'initrd.img', Buffer.from(`${hex}00000000`, 'hex'), 100))
  test('files swapped by mistake are told apart', () => {
    expect(reason(() => checkPart('root', 'root.squashfs', fakeKernel(), 4096))).toContain('root.squashfs is not a squashfs')
    expect(reason(() => checkPart('kernel', 'vmlinuz', fakeRoot(), 5000))).toContain('vmlinuz is not a Linux kernel')
    expect(reason(() => checkPart('initrd', 'initrd.img', fakeRoot(), 5000))).toContain('initrd.img is not an initrd')
  })
  test('a squashfs cut short is noticed from its superblock', () => expect(reason(() => checkPart('root', 'root.squashfs', fakeRoot().subarray(0, 4096), 4999))).toContain('cut off: its squashfs has 5000 bytes, the file only 4999'))
  test.each(parts)('an empty %s is refused', part => expect(reason(() => checkPart(part, 'it', new Uint8Array(), 0))).toContain('is empty'))
  test('whatever the bytes, they pass or are refused with IMAGE_INVALID', () => fc.assert(fc.property(fc.constantFrom(...parts), fc.uint8Array({ maxLength: 200 }), fc.nat(), (part, bytes, size) => {
    try { checkPart(part, 'it', bytes, size) } catch (error) { expect(error).toMatchObject({ code: 'IMAGE_INVALID' }) }
  }), { numRuns: 300 }))
})
