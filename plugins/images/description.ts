/** What an image consists of, as image.json says it, and whether its files are what they claim to be. Pure: the CLI and the API share it. */
import { BedplateError } from '../../core/errors.ts'
import { loaders, ways, type Way } from './manifest.ts'

export const architectures = ['amd64', 'arm64', 'armhf', 'i386', 'ppc64el', 'riscv64', 's390x'] as const
export const parts = ['kernel', 'initrd', 'root'] as const
export type PartName = typeof parts[number]

export type LoaderName = typeof loaders[number]

/** `kernel`, `initrd`, `root` and each of `templates`: names of files beside image.json. */
export interface Description {
  readonly name: string, readonly os: string, readonly release: string, readonly architecture: string, readonly title: string, readonly user: string
  readonly kernelOptions: string, readonly way: Way, readonly kernel: string, readonly initrd: string, readonly root: string
  readonly templates?: { readonly [loader in LoaderName]?: string }
}

/** Patterns of the texts; the API takes the same. */
export const patterns = {
  name: '^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$',
  os: '^[a-z0-9][a-z0-9._-]{0,62}$',
  release: '^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$',
  architecture: `^(?:${architectures.join('|')})$`,
  title: '^[^\\x00-\\x1f\\x7f]{1,200}$',
  user: '^[a-z_][a-z0-9_-]{0,31}$',
  kernelOptions: '^[\\x20-\\x7e]{0,1000}$'
} as const
const fileName = /^(?!\.{1,2}$)[A-Za-z0-9._+-]{1,128}$/
const meanings: Record<keyof typeof patterns, string> = {
  name: 'letters, digits, ".", "_" and "-", at most 63',
  os: 'lower case letters, digits, ".", "_" and "-", at most 63',
  release: 'letters, digits, ".", "_" and "-", at most 63',
  architecture: `one of ${architectures.join(', ')}`,
  title: 'one line of at most 200 characters',
  user: 'a Unix account name',
  kernelOptions: 'one line of printable ASCII, at most 1000 characters'
}
const isLoader = (text: string): text is LoaderName => loaders.some(loader => loader === text)
const isWay = (text: string): text is Way => ways.some(way => way === text)
const invalid = (reason: string) => new BedplateError('IMAGE_INVALID', { reason })

/** Reads the text of an image.json. Throws IMAGE_INVALID naming everything that is wrong with it. `present`: the files beside it, when known. */
export function readDescription (text: string, present?: readonly string[]): Description {
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch (error) {
    throw invalid(`image.json is not JSON (${error instanceof Error ? error.message : String(error)})`)
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw invalid('image.json must hold an object')
  const given = new Map<string, unknown>(Object.entries(value))
  if (!given.has('kernelOptions')) given.set('kernelOptions', '')
  if (!given.has('way')) given.set('way', 'http')
  const problems: string[] = []
  const take = (key: string, fits: (text: string) => boolean, meaning: string): string => {
    const found = given.get(key)
    given.delete(key)
    if (found === undefined) problems.push(`"${key}" is missing (${meaning})`)
    else if (typeof found !== 'string' || !fits(found)) problems.push(`"${key}" must be ${meaning}, not ${JSON.stringify(found)?.slice(0, 80)}`)
    else return found
    return ''
  }
  const word = (key: keyof typeof patterns) => take(key, text => new RegExp(patterns[key]).test(text), meanings[key])
  const there = (name: string, what: string): void => {
    if (present !== undefined && !present.includes(name)) problems.push(`the file "${name}" (${what}) is missing; there is ${present.join(', ') || 'nothing'}`)
  }
  const file = (key: PartName): string => {
    const name = take(key, text => fileName.test(text), 'the name of a file beside image.json')
    if (name !== '') there(name, key)
    return name
  }
  const templates = (): Record<string, string> => {
    const found = given.has('templates') ? given.get('templates') : {}
    given.delete('templates')
    const names: Record<string, string> = {}
    if (typeof found !== 'object' || found === null || Array.isArray(found)) problems.push('"templates" must be an object that names a file for each loader')
    else for (const [loader, name] of Object.entries(found) as [string, unknown][]) {
      if (!isLoader(loader)) problems.push(`"templates" has "${loader.slice(0, 80)}", which is none of ${loaders.join(', ')}`)
      else if (typeof name !== 'string' || !fileName.test(name)) problems.push(`"templates.${loader}" must be the name of a file beside image.json, not ${JSON.stringify(name).slice(0, 80)}`)
      else { there(name, `templates.${loader}`); names[loader] = name }
    }
    return names
  }
  const way = take('way', text => isWay(text), `one of ${ways.join(', ')}`)
  const own = templates()
  const description: Description = {
    name: word('name'), os: word('os'), release: word('release'), architecture: word('architecture'), title: word('title'), user: word('user'), kernelOptions: word('kernelOptions'), way: isWay(way) ? way : 'http',
    kernel: file('kernel'), initrd: file('initrd'), root: file('root'),
    ...Object.keys(own).length === 0 ? {} : { templates: own }
  }
  for (const key of given.keys()) problems.push(`"${key}" is not known`)
  if (problems.length > 0) throw invalid(`in image.json ${problems.join('; ')}`)
  return description
}

/** How many bytes of a file's beginning checkPart wants to see. */
export const headBytes = 4096

/** Throws IMAGE_INVALID unless a file that begins with `head` and has `size` bytes can be that part of an image. `name` is for the sentence. */
export function checkPart (part: PartName, name: string, head: Uint8Array, size: number): void {
  const bytes = Buffer.from(head.buffer, head.byteOffset, head.byteLength)
  if (size === 0) throw invalid(`${name} (${part}) is empty`)
  switch (part) {
    case 'kernel': {
      if (!isKernel(bytes)) throw invalid(`${name} is not a Linux kernel that a boot loader can start (no bzImage, EFI stub, arm64 Image or ELF header)`)
      return
    }
    case 'initrd': {
      if (!initrdMagics.some(magic => bytes.subarray(0, magic.length).equals(magic))) throw invalid(`${name} is not an initrd (no cpio archive, plain or compressed)`)
      return
    }
    case 'root': {
      if (bytes.toString('latin1', 0, 4) !== 'hsqs') throw invalid(`${name} is not a squashfs`)
      if (bytes.length < 96) throw invalid(`${name} is cut off: a squashfs begins with 96 bytes of superblock`)
      const used = bytes.readBigUInt64LE(40) // bytes_used of the superblock
      if (used > BigInt(size)) throw invalid(`${name} is cut off: its squashfs has ${used} bytes, the file only ${size}`)
    }
  }
}

/** Characters of a template, which are bytes: every entry of a machine that boots the image carries it to the racks. */
export const templateLimit = 16 * 1024

/** Throws IMAGE_INVALID unless the text can be given to the loader. Beyond that it is not read: what a loader makes of it is seen on the machine's console. `name` is for the sentence. */
export function checkTemplate (loader: LoaderName, name: string, text: string): void {
  const what = `${name} (templates.${loader})`
  if (text.trim() === '') throw invalid(`${what} is empty`)
  if (text.length > templateLimit) throw invalid(`${what} is longer than ${templateLimit} bytes`)
  const odd = /[^\t\r\n\x20-\x7e]/.exec(text)
  if (odd !== null) throw invalid(`${what} is not printable ASCII in line ${text.slice(0, odd.index).split('\n').length}`)
  // without this line iPXE takes it for an image of some other kind, and says only "Exec format error"
  if (loader === 'ipxe' && !/^#!ipxe\s/.test(`${text}\n`)) throw invalid(`${what} does not begin with the line "#!ipxe"`)
}

const initrdMagics = ['1f8b', '28b52ffd', 'fd377a585a00', '04224d18', '02214c18', '425a68', '303730373031', '303730373032', '5d0000'].map(hex => Buffer.from(hex, 'hex'))

function isKernel (bytes: Buffer): boolean {
  const at = (offset: number, text: string) => bytes.length >= offset + text.length && bytes.toString('latin1', offset, offset + text.length) === text
  return at(0x202, 'HdrS') || at(0, 'MZ') || at(0x38, 'ARM\x64') || at(0, '\x7fELF') || (bytes[0] === 0x1f && bytes[1] === 0x8b)
}
