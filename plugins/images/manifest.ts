/** images: kernels, initrds and root file systems, stored once, content-addressed, on every rack. Data and types only. */
import { Type } from 'typebox'
import { defineManifest, method, token, type Query } from '../../core/plugin.ts'

export const Sha256 = Type.String({ pattern: '^[0-9a-f]{64}$' })
export const chunkBytes = 1 << 20

export const manifest = defineManifest({
  name: 'images',
  config: Type.Object({
    cacheDirectory: Type.Optional(Type.String({ description: 'Where a rack keeps the files it serves; by default images/ in the data directory.' })),
    peerPort: Type.Integer({ default: 5248, minimum: 0, maximum: 65535, description: 'HTTP port of the other racks, who are asked for files that no region gives; 0: they are not asked.' })
  }, { additionalProperties: false }),
  migrations: new URL('./migrations/', import.meta.url),
  rpc: {
    /** `data`: base64 of at most 1 MiB from `offset`. NOT_FOUND for a file nobody imported. */
    chunk: method({ answeredBy: 'region', idempotent: true, timeout: 30_000, params: Type.Object({ sha256: Sha256, offset: Type.Integer({ minimum: 0 }) }), result: Type.Object({ data: Type.String(), size: Type.Integer() }) })
  },
  wanted: {
    file: Type.Object({ sha256: Sha256, size: Type.Integer({ minimum: 0 }) }), // id = the sha256
    peer: Type.Object({ addresses: Type.Array(Type.String()) }) // id = another rack with which this one shares a VLAN: where it is reached there
  },
  facts: { held: Type.Object({ sha256: Sha256, seconds: Type.Number() }) } // a rack has a file, whole and verified
})

/** How a system that runs from memory gets its root: by HTTP into memory, read over iSCSI as needed, or beside the initrd (ADR 0012). */
export const ways = ['http', 'iscsi', 'initrd'] as const
export type Way = typeof ways[number]

/** Boot loaders for which an image may bring a text of its own. */
export const loaders = ['ipxe', 'grub', 'pxelinux'] as const
export type Templates = { readonly [loader in typeof loaders[number]]?: string }

export interface ImageFile { readonly sha256: string, readonly size: number }
/** `user`: the account that cloud-init makes in the deployed system. `root` is a squashfs. `way`: how it is reached while it runs from memory, unless its machine says otherwise. `templates`: told to boot loaders instead of what boot makes; absent when there are none. */
export interface Image {
  readonly id: string, readonly name: string, readonly os: string, readonly release: string, readonly architecture: string, readonly title: string, readonly user: string
  readonly kernel: ImageFile, readonly initrd: ImageFile, readonly root: ImageFile, readonly kernelOptions: string, readonly way: Way, readonly templates?: Templates, readonly createdAt: Date
}
/** Given to region halves. Change-log topic: `images.image`. */
export interface ImageService {
  list(q: Query): Promise<readonly Image[]>
  /** By id or name; the newest of a name. */
  find(q: Query, idOrName: string): Promise<Image | undefined>
  /** The image that unknown and commissioning machines run: the newest of that architecture. */
  ephemeral(q: Query, architecture: string): Promise<Image | undefined>
}
export const Images = token<ImageService>('images.service')

/** Given to rack halves: files by content. */
export interface FileStore {
  /** The path of the whole, verified file; pulls it from a region, or from another rack, first when it is not here yet (calls for one file share one pull). LINK_DOWN, NOT_FOUND, FILE_CORRUPT. */
  path(sha256: string, signal?: AbortSignal): Promise<string>
  /** Whether it is here, whole and verified. */
  has(sha256: string): boolean
  /** Bytes of a file that is here or wanted here. */
  size?(sha256: string): number | undefined
}
export const Files = token<FileStore>('images.files')
