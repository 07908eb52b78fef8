/** boot: what a machine's firmware fetches: loaders by TFTP, scripts and files by HTTP. Data and types only. */
import { Type } from 'typebox'
import type { Static } from 'typebox'
import type { AsyncSeriesBailHook } from 'tapable'
import { defineManifest, method, token } from '../../core/plugin.ts'
import { ways } from '../images/manifest.ts'

const File = Type.Object({ sha256: Type.String(), size: Type.Integer() })
const Files = Type.Object({
  kernel: File, initrd: File, root: File,
  options: Type.String({ description: 'further kernel options: of the image, then those kept for every machine, for its tags, for itself' }),
  templates: Type.Optional(Type.Object({ ipxe: Type.Optional(Type.String()), grub: Type.Optional(Type.String()), pxelinux: Type.Optional(Type.String()) }, { description: 'texts of the image itself for boot loaders, instead of those made here' })),
  way: Type.Optional(Type.Enum([...ways], { description: 'how the root is reached; http when it is absent' }))
})
const Text = Type.String()

export const manifest = defineManifest({
  name: 'boot',
  config: Type.Object({
    tftpPort: Type.Integer({ default: 69, minimum: 1, maximum: 65535, description: 'UDP port of the TFTP server.' }),
    httpsPort: Type.Integer({ default: 5249, minimum: 0, maximum: 65535, description: 'TCP port where the rack\'s HTTP is served over TLS too, with a certificate of the region\'s authority for its addresses; 0: not at all.' }),
    iscsiPort: Type.Integer({ default: 3260, minimum: 0, maximum: 65535, description: 'TCP port of the iSCSI target that serves root file systems, the same on every rack: a machine goes on at another one. 0: any that is free.' }),
    loaderDirectories: Type.Optional(Type.Array(Type.String({ minLength: 1 }), { description: 'Where boot loaders lie, the first that has a name counts. Absent: /usr/local/lib/bedplate/loaders, then where Debian\'s packages put them.' })),
    loaderDirectory: Type.Optional(Type.String({ description: 'The only folder of loaders, as before there could be several; loaderDirectories stands above it.' })),
    loader: Type.Optional(Type.Enum(['auto', 'ipxe', 'grub'], { description: 'What the firmware of a UEFI machine gets: iPXE, or shim and GRUB, which Secure Boot takes; auto (default): iPXE first, and shim once a machine has refused it.' })),
    console: Type.String({ default: 'console=tty0 console=ttyS0,115200', description: 'Kernel options that choose the console of ephemeral and installed systems.' })
  }, { additionalProperties: false }),
  migrations: new URL('./migrations/', import.meta.url),
  rpc: {
    /** A certificate of the region's authority for the HTTPS port: for this public key (SPKI, PEM; P-256), at these IP addresses. INVALID_REQUEST, ENROLMENT_REFUSED. */
    certify: method({ answeredBy: 'region', idempotent: true, params: Type.Object({ publicKey: Type.String({ maxLength: 1024 }), addresses: Type.Array(Type.String({ maxLength: 64 }), { minItems: 1, maxItems: 512 }) }), result: Type.Object({ certificate: Type.String(), authority: Type.String() }) })
  },
  wanted: {
    /** id = a MAC of the machine. `files` and `token` are there when the purpose needs them. */
    machine: Type.Object({
      machine: Text, hostname: Text, purpose: Type.Union([Type.Literal('commission'), Type.Literal('deploy'), Type.Literal('release'), Type.Literal('local'), Type.Literal('poweroff')]),
      token: Type.Union([Text, Type.Null()]), files: Type.Union([Files, Type.Null()]), reason: Type.Union([Text, Type.Null()]),
      loader: Type.Optional(Type.Enum(['ipxe', 'grub'], { description: 'what its firmware gets where the configuration says auto' }))
    }),
    /** id = a MAC whose firmware has refused iPXE, whether a machine has it or none yet: it gets shim and GRUB. */
    refused: Type.Object({}),
    /** id = the architecture: what a machine nobody knows boots. */
    unknown: Files,
    /** id = the VLAN. Present when this rack is one of those that hold its boot addresses in turn. `rank`: its place in the VLAN's list of racks. `peers`: the others, by the MAC of their interface there. */
    floating: Type.Object({
      interface: Text, rank: Type.Integer({ minimum: 0 }), peers: Type.Array(Type.Object({ rack: Text, mac: Text })),
      addresses: Type.Array(Type.Object({ address: Text, prefix: Type.Integer({ minimum: 0, maximum: 128 }), vrid: Type.Integer({ minimum: 1, maximum: 255 }) }), { description: 'at most one of each family' })
    })
  },
  facts: {
    /** This machine's firmware has refused iPXE, as Secure Boot does: from now on it gets shim and GRUB. */
    refused: Type.Object({ machine: Type.Union([Text, Type.Null()]), mac: Text }),
    /** A request by a machine. `what`: the path or script. `bytes` sent, `milliseconds` from first packet to last; `retries`: packets sent again, or logins after the first. */
    served: Type.Object({ machine: Type.Union([Text, Type.Null()]), mac: Type.Union([Text, Type.Null()]), address: Text, by: Type.Union([Type.Literal('tftp'), Type.Literal('http'), Type.Literal('iscsi')]), what: Text, bytes: Type.Integer(), milliseconds: Type.Integer(), failure: Type.Union([Text, Type.Null()]), retries: Type.Optional(Type.Integer({ minimum: 0 })) })
  }
})

/** Whom the network's plan names as owner of a VLAN's boot addresses. What has this owner is what clients of the VLAN are told; change-log topic `boot.vlan` (id = the VLAN): they changed. */
export const bootOwner = (vlanId: string): string => `boot:${vlanId}`
export type FloatingEntry = Static<typeof manifest.wanted.floating>

/** A boot loader, or firmware that reads its language, asks what to do. `firmware`: option 93 of the machine as DHCP last heard it; `architecture`: of its processor, where the request says it. */
export interface BootRequest {
  readonly mac: string, readonly address: string, readonly firmware: number | null, readonly architecture: string | null
  readonly loader: 'ipxe' | 'grub' | 'pxelinux', readonly by: 'tftp' | 'http'
}
/** Served instead of what is wanted: a text in the loader's own language, or the entry that the usual text is made from. */
export type BootAnswer = { readonly script: string } | { readonly machine: Static<typeof manifest.wanted.machine> }
/** Given to rack halves: `requires: { boot: Boot }`, and taps on `deps.boot.hooks` during setup. */
export interface BootService {
  readonly hooks: {
    /** bail: the first answer counts. A tap that throws, takes longer than two seconds or answers what cannot be served is passed over, and counted (`boot_tap_failures{tap}`). */
    readonly request: AsyncSeriesBailHook<[BootRequest], BootAnswer | undefined>
  }
}
export const Boot = token<BootService>('boot.requests')
