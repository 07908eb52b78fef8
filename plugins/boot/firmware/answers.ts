/** What is behind the names that boot loaders ask for, by whatever transport: their configuration, the files of images, and loaders. */
import type { AsyncSeriesBailHook } from 'tapable'
import { BedplateError } from '../../../core/errors.ts'
import type { FileStore } from '../../images/manifest.ts'
import type { BootAnswer, BootRequest } from '../manifest.ts'
import type { Wanted } from '../rack/wanted.ts'
import { genericGrub, grubConfiguration } from '../script/grub.ts'
import { genericScript, ipxeScript } from '../script/ipxe.ts'
import { configurationNamed } from '../script/names.ts'
import type { LoaderLanguage } from '../script/names.ts'
import { pxelinuxConfiguration } from '../script/pxelinux.ts'
import { taskOf } from '../script/task.ts'
import type { Where } from '../script/task.ts'
import { memoryContent } from '../tftp/content.ts'
import { fileContent } from '../tftp/files.ts'
import type { Content } from '../tftp/content.ts'
import { archiveAround } from './joined.ts'
import { plainName } from './loaders.ts'
import type { Loaders } from './loaders.ts'

export interface Asking { readonly mac: string | null, readonly language: LoaderLanguage, readonly architecture: string | null, readonly address: string, readonly by: 'tftp' | 'http' }
export interface AnswersOptions {
  readonly wanted: Wanted, readonly files: FileStore, readonly loaders: Loaders, readonly console: string, /** Of this rack's target, as it listens. */ readonly iscsiPort: () => number, readonly httpPort: number
  readonly request: AsyncSeriesBailHook<[BootRequest], BootAnswer | undefined>
  /** Option 93 of the machine's firmware, when it was last heard. */
  firmwareOf(mac: string): number | null
}
export interface Answers {
  /** The text for that loader. `base`: the rack's HTTP as the machine reaches it; `host`: the rack's address, an IPv6 one in brackets. */
  text(asking: Asking, base: string, host: string): Promise<string>
  /** A name asked for by TFTP at one of our addresses; undefined: there is nothing of that name. */
  open(name: string, from: string, local: string): Promise<Content | undefined>
  /** The parts of an initrd with a root beside it, in order, and how long they are together; NOT_FOUND when no machine is to boot them. */
  joined(initrd: string, root: string, signal?: AbortSignal): Promise<{ readonly parts: readonly (Buffer | { readonly path: string, readonly size: number })[], readonly size: number }>
}

const imageFile = /^boot\/files\/([0-9a-f]{64})\/[\w.-]{1,128}$/
const joinedFile = /^boot\/initrd\/([0-9a-f]{64})\/([0-9a-f]{64})\/[\w.-]{1,128}$/
const pullPatience = 20_000 // ms: a TFTP client asks again sooner than a rack fetches a large file, and then it goes on

export function createAnswers (options: AnswersOptions): Answers {
  const { wanted, files, loaders, console, iscsiPort, httpPort, request, firmwareOf } = options

  async function text ({ mac, language, architecture, address, by }: Asking, base: string, host: string): Promise<string> {
    if (mac === null) return language === 'grub' ? genericGrub(`(tftp,${host})`) : genericScript(base)
    const answer = await request.promise({ mac, address, firmware: firmwareOf(mac), architecture, loader: language, by })
    if (answer !== undefined && 'script' in answer) return answer.script
    const where: Where = { base, mac, console, iscsiPort: iscsiPort() }
    const task = taskOf(answer?.machine ?? wanted.machine(mac), wanted.unknown(architecture ?? 'amd64'), where)
    switch (language) {
      case 'ipxe': return ipxeScript(task, where)
      case 'grub': return grubConfiguration(task, { ...where, device: `(tftp,${host})` })
      case 'pxelinux': return pxelinuxConfiguration(task, where)
    }
  }

  async function joined (initrd: string, root: string, signal?: AbortSignal) {
    const sizes = wanted.joins(initrd, root)
    if (sizes === undefined) throw new BedplateError('NOT_FOUND', { what: 'file', id: `${initrd} with ${root}` })
    const [first, second] = await Promise.all([files.path(initrd, signal), files.path(root, signal)])
    const { head, tail } = archiveAround('root.squashfs', sizes.root, sizes.initrd)
    return { parts: [{ path: first, size: sizes.initrd }, head, { path: second, size: sizes.root }, tail], size: sizes.initrd + head.length + sizes.root + tail.length }
  }

  return {
    text,
    joined,
    async open (name, from, local) {
      const plain = plainName(name)
      const named = configurationNamed(plain)
      const address = local.replace(/%.*$/, '')
      const host = address.includes(':') ? `[${address}]` : address
      if (named !== undefined) return memoryContent(Buffer.from(await text({ ...named, address: from, by: 'tftp' }, `http://${host}:${httpPort}`, host)))
      const [, sha256] = imageFile.exec(plain) ?? []
      if (sha256 !== undefined) return wanted.knows(sha256) ? await fileContent(await files.path(sha256, AbortSignal.timeout(pullPatience))) : undefined
      const [, initrd, root] = joinedFile.exec(plain) ?? []
      if (initrd === undefined || root === undefined) {
        const loader = await loaders.open(plain)
        if (loader === undefined) loaders.missing(plain)
        return loader
      }
      if (wanted.joins(initrd, root) === undefined) return undefined
      const { parts, size } = await joined(initrd, root, AbortSignal.timeout(pullPatience))
      return await concatenated(parts, size)
    }
  }
}

/** Several contents as one; each read stays within one of them, which a content may do. */
async function concatenated (parts: readonly (Buffer | { readonly path: string })[], size: number): Promise<Content> {
  const opened: { readonly from: number, readonly content: Content }[] = []
  const close = async (): Promise<void> => { await Promise.all(opened.map(({ content }) => content.close())) }
  try {
    let from = 0
    for (const part of parts) {
      const content = Buffer.isBuffer(part) ? memoryContent(part) : await fileContent(part.path)
      opened.push({ from, content })
      from += content.size
    }
    if (from !== size) throw new BedplateError('UNAVAILABLE', { reason: `a file has another size than it should (${from} bytes together, not ${size})` })
  } catch (error) {
    await close()
    throw error
  }
  return {
    size,
    read (offset, length) {
      const { from, content } = opened.findLast(part => part.from <= offset && part.content.size > 0) ?? { from: 0, content: memoryContent(Buffer.alloc(0)) }
      return content.read(offset - from, Math.min(length, content.size - (offset - from)))
    },
    close
  }
}
