/** Which loaders there are: the folders they lie in, the names they go by, and what is said when one is missing. */
import { mkdir, rm, symlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { aliases, meant, remedyFor, sources } from '../../../plugins/boot/firmware/catalogue.ts'
import { createLoaders, plainName } from '../../../plugins/boot/firmware/loaders.ts'
import { loadersOf } from '../../../plugins/dhcp/options/loaders.ts'
import { folder } from './rig.ts'

let files: Awaited<ReturnType<typeof folder>>
beforeAll(async () => { files = await folder({ big: Buffer.alloc(9), empty: Buffer.alloc(0) }) })
afterAll(() => files.remove())
const scanned = async (...directories: string[]) => {
  const list = createLoaders(directories)
  await list.scan()
  return list
}

describe('the folders of loaders', () => {
  test('files and links to files are known by their names, folders are not', async () => {
    const loaders = await folder({ 'undionly.kpxe': Buffer.from('x') })
    await mkdir(join(loaders.path, 'sub'))
    await symlink(join(files.path, 'big'), join(loaders.path, 'linked'))
    const list = createLoaders([loaders.path])
    expect(list.health().state).toBe('degraded')
    await list.scan()
    expect([list.path('undionly.kpxe'), list.path('linked'), list.path('sub'), list.path('sub/x'), list.path('')].map(path => path !== undefined)).toEqual([true, true, false, false, false])
    expect(list.health()).toEqual({ state: 'running' })
    await loaders.remove()
  })
  test('what lies in an earlier folder stands before the same name in a later one; a folder that is not there is passed over', async () => {
    const [own, packaged] = [await folder({ 'ipxe.efi': Buffer.from('own') }), await folder({ 'ipxe.efi': Buffer.from('packaged'), 'undionly.kpxe': Buffer.from('x') })]
    const list = await scanned(join(own.path, 'absent'), own.path, packaged.path)
    expect([list.path('ipxe.efi'), list.path('undionly.kpxe'), list.health().state]).toEqual([join(own.path, 'ipxe.efi'), join(packaged.path, 'undionly.kpxe'), 'running'])
    await own.remove()
    await packaged.remove()
  })
  test('without any iPXE it is degraded, with the command that mends it, until there is', async () => {
    const parent = await folder({})
    const path = join(parent.path, 'ipxe')
    const list = await scanned(path)
    expect(list.health()).toMatchObject({ state: 'degraded', reason: expect.stringContaining('apt-get install ipxe') })
    await mkdir(path)
    await list.scan()
    expect(list.health()).toMatchObject({ state: 'degraded', reason: expect.stringContaining('There is no loader for BIOS and UEFI x64') })
    await writeFile(join(path, 'snponly.efi'), 'x')
    await list.scan()
    expect(list.health()).toEqual({ state: 'running' })
    await rm(path, { recursive: true })
    await list.scan()
    expect([list.health().state, list.path('snponly.efi')]).toEqual(['degraded', undefined])
    await parent.remove()
  })
  test('a loader that a machine was told to fetch and that is not there is named with its packages, until it is', async () => {
    const loaders = await folder({ 'undionly.kpxe': Buffer.from('x') })
    const list = await scanned(loaders.path)
    list.missing('shimaa64.efi')
    list.missing('something else') // no package has it: nothing could be said about it
    expect(list.health()).toEqual({ state: 'degraded', reason: `There is no loader for UEFI arm64 in ${loaders.path}: dpkg --add-architecture arm64 && apt-get update && apt-get install shim-signed:arm64` })
    await writeFile(join(loaders.path, 'shimaa64.efi.signed'), 'x')
    await list.scan()
    expect(list.health()).toEqual({ state: 'running' })
    await loaders.remove()
  })
  test('a folder that cannot be read is named', async () => {
    const list = await scanned(join(files.path, 'big'), '/usr/lib/ipxe')
    expect(list.health()).toMatchObject({ state: 'degraded', reason: expect.stringContaining(join(files.path, 'big')) })
  })
})

describe('names', () => {
  test.each(['toString', '__proto__', 'constructor', 'hasOwnProperty', '../big', 'sub/../big'])('%s is no loader', async name => { expect((await scanned(files.path)).path(name)).toBeUndefined() })
  test('only slashes in front are taken off, of either kind', () => expect(['/a', '///a', '\\a', 'a', '/../a', 'a/'].map(plainName)).toEqual(['a', 'a', 'a', 'a', '../a', 'a/']))
  test('shim finds Debian\'s GRUB for the network under the name it asks for', async () => {
    const loaders = await folder({ 'grubnetx64.efi.signed': Buffer.from('x') })
    const list = await scanned(loaders.path)
    expect([list.path('grubx64.efi'), list.path('//grubx64.efi'), list.path('grubaa64.efi')]).toEqual([join(loaders.path, 'grubnetx64.efi.signed'), join(loaders.path, 'grubnetx64.efi.signed'), undefined])
    await loaders.remove()
  })
})

describe('the catalogue', () => {
  const brought = new Set(sources.flatMap(({ names }) => names))
  test('knows a package for every loader that DHCP names, but those that Debian does not ship whole', () => {
    const named = Array.from({ length: 64 }, (_, architecture) => loadersOf(architecture)).flatMap(loader => [loader?.ipxe, loader?.grub]).filter(name => name !== undefined)
    expect([...new Set(named)].filter(name => !brought.has(meant(name))).sort()).toEqual(['core.elf', 'ipxe-arm64.efi'])
  })
  test('has what its aliases stand for', () => expect(Object.values(aliases).filter(name => !brought.has(name))).toEqual([]))
  test('names an architecture once, however many of its packages are missing', () => expect(remedyFor(['a:arm64', 'b:arm64', 'c'])).toBe('dpkg --add-architecture arm64 && apt-get update && apt-get install a:arm64 b:arm64 c'))
})
