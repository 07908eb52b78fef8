/** image.json and the look of an image's files. */
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { BedplateError } from '../../../core/errors.ts'
import { checkPart, parts, readDescription } from '../../../plugins/images/description.ts'
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
  test.each(['', '{', '[]', 'null', '7', '"text"'])('%j is no description', text => expect(reason(() => readDescription(text))).toContain('image.json'))
  test.each(['line\nbreak', 'tab\there', 'ümlaut'])('kernel options %j are refused', kernelOptions =>
    expect(reason(() => readDescription(JSON.stringify({ ...good, kernelOptions })))).toContain('"kernelOptions" must be'))
  test('whatever the text, it is read or refused with IMAGE_INVALID', () => fc.assert(fc.property(fc.oneof(fc.string(), fc.json(), fc.object().map(value => JSON.stringify({ ...good, ...value }))), text => {
    try { readDescription(text) } catch (error) { expect(error).toMatchObject({ code: 'IMAGE_INVALID' }) }
  }), { numRuns: 300 }))
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
