/** Files as pieces of memory that all who read the same file share: a hundred machines that fetch one loader cost one copy of it. */
import { constants } from 'node:fs'
import { open as openFile } from 'node:fs/promises'
import type { FileHandle } from 'node:fs/promises'
import { BedplateError } from '../../../core/errors.ts'
import type { Content } from './content.ts'

export interface FilesOptions {
  /** Bytes of a piece: what is read at once. */
  readonly pieceBytes?: number
  /** Bytes of all pieces that are kept. */
  readonly mostBytes?: number
}
export interface Files {
  /** Opens a regular file. Rejects as `open` does, and with UNAVAILABLE when it is something else. */
  open(path: string): Promise<Content>
  /** Bytes in memory now. */
  readonly kept: number
}

interface Piece { readonly file: File, readonly index: number, readonly bytes: Buffer, used: boolean }
interface File {
  readonly identity: string
  readonly size: number
  handle: FileHandle | undefined // while somebody has it open
  users: number
  readonly pieces: Map<number, Piece>
  readonly loading: Map<number, Promise<Buffer>>
}

const nothing = new Uint8Array(0)
const loadsAtOnce = 4 // a disk has its own queue, and others want the threads too

export function createFiles ({ pieceBytes = 1 << 18, mostBytes = 1 << 25 }: FilesOptions = {}): Files {
  const files = new Map<string, File>() // those that are open, or have pieces here
  // Pieces lie in a ring: when it is full, the hand passes over those read since it last came by, and takes the next one. A hit costs one flag.
  const ring: (Piece | undefined)[] = []
  const places = Math.max(1, Math.floor(mostBytes / pieceBytes))
  let hand = 0
  let kept = 0
  let loads = 0
  const waiting: (() => void)[] = []
  const spare: Buffer[] = [] // memory of pieces that had to go: new memory for each would keep the collector busy, which marks everything there is after some MiB of it


  const forget = (file: File): void => { if (file.users === 0 && file.pieces.size === 0 && files.get(file.identity) === file) files.delete(file.identity) }
  function keep (piece: Piece): void {
    while (ring.length === places && ring[hand]?.used === true) {
      (ring[hand] as Piece).used = false
      hand = (hand + 1) % places
    }
    const old = ring[hand]
    if (old !== undefined) {
      kept -= old.bytes.length
      old.file.pieces.delete(old.index)
      release(old.bytes)
      forget(old.file)
    }
    ring[hand] = piece
    hand = (hand + 1) % places
    kept += piece.bytes.length
    piece.file.pieces.set(piece.index, piece)
  }

  /** Whoever has read of it may look at it until the end of this turn of the loop. */
  const release = (memory: Buffer): void => { if (memory.length === pieceBytes) setImmediate(() => { spare.push(memory) }) }

  async function load (file: File, index: number): Promise<Buffer> {
    if (loads < loadsAtOnce) loads++
    else await new Promise<void>(resolve => { waiting.push(resolve) })
    let memory: Buffer | undefined
    try {
      const { handle } = file
      if (handle === undefined) return Buffer.alloc(0) // closed meanwhile: nobody waits for it
      const from = index * pieceBytes
      const length = Math.min(pieceBytes, file.size - from)
      memory = length < pieceBytes ? Buffer.allocUnsafeSlow(length) : spare.pop() ?? Buffer.allocUnsafeSlow(pieceBytes)
      let filled = 0
      while (filled < length) {
        const { bytesRead } = await handle.read(memory, filled, length - filled, from + filled)
        if (bytesRead === 0) return memory.subarray(0, filled) // it has become shorter: not what others should get
        filled += bytesRead
      }
      const bytes = memory
      memory = undefined
      keep({ file, index, bytes, used: false })
      return bytes
    } finally {
      if (memory !== undefined) release(memory)
      const next = waiting.shift()
      if (next === undefined) loads--
      else next()
      file.loading.delete(index)
    }
  }
  function loading (file: File, index: number): Promise<Buffer> {
    const begun = file.loading.get(index)
    if (begun !== undefined) return begun
    const now = load(file, index)
    file.loading.set(index, now)
    return now
  }
  /** Reads on, so that whoever goes through the file finds the next piece. */
  function ahead (file: File, index: number): void {
    if (index * pieceBytes < file.size && !file.pieces.has(index) && !file.loading.has(index)) loading(file, index).catch(() => {}) // whoever needs it meets the error
  }

  function contentOf (file: File): Content {
    let open = true
    return {
      size: file.size,
      read (offset, length) {
        const wanted = Math.min(length, file.size - offset)
        if (wanted <= 0) return nothing
        const index = Math.floor(offset / pieceBytes)
        const at = offset - index * pieceBytes
        const piece = file.pieces.get(index)
        if (piece === undefined) return loading(file, index).then(bytes => bytes.subarray(at, at + wanted))
        piece.used = true
        if (at * 2 >= pieceBytes) ahead(file, index + 1)
        return piece.bytes.subarray(at, at + wanted)
      },
      async close () {
        if (!open) return
        open = false
        if (--file.users > 0) return
        const { handle } = file
        file.handle = undefined
        forget(file)
        await handle?.close()
      }
    }
  }

  return {
    async open (path) {
      // Not blocking: a pipe somebody has put there must not keep a thread for ever.
      const handle = await openFile(path, constants.O_RDONLY | constants.O_NONBLOCK)
      try {
        const about = await handle.stat({ bigint: true })
        if (!about.isFile()) throw new BedplateError('UNAVAILABLE', { reason: `${path} is no regular file` })
        const identity = [about.dev, about.ino, about.size, about.mtimeNs, about.ctimeNs].join(':')
        const known = files.get(identity)
        const file: File = known ?? { identity, size: Number(about.size), handle: undefined, users: 0, pieces: new Map(), loading: new Map() }
        if (known === undefined) files.set(identity, file)
        file.users++
        if (file.handle === undefined) file.handle = handle
        else await handle.close().catch(() => {})
        return contentOf(file)
      } catch (error) {
        await handle.close().catch(() => {})
        throw error
      }
    },
    get kept () { return kept }
  }
}

const shared = createFiles()
/** Opens a regular file; what is read of it is kept for the others who read the same one, in a bounded memory all files share. */
export const fileContent = (path: string): Promise<Content> => shared.open(path)
