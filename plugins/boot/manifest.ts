/** boot: what a machine's firmware fetches: loaders by TFTP, scripts and files by HTTP. Data and types only. */
import { Type } from 'typebox'
import { defineManifest } from '../../core/plugin.ts'
import { ways } from '../images/manifest.ts'

const File = Type.Object({ sha256: Type.String(), size: Type.Integer() })
const Files = Type.Object({
  kernel: File, initrd: File, root: File,
  options: Type.String({ description: 'further kernel options: of the image, then those kept for every machine, for its tags, for itself' }),
  way: Type.Optional(Type.Enum([...ways], { description: 'how the root is reached; http when it is absent' }))
})
const Text = Type.String()

export const manifest = defineManifest({
  name: 'boot',
  config: Type.Object({
    tftpPort: Type.Integer({ default: 69, minimum: 1, maximum: 65535, description: 'UDP port of the TFTP server.' }),
    loaderDirectory: Type.String({ default: '/usr/lib/ipxe', description: 'Where stock iPXE binaries lie (Debian: package ipxe).' }),
    console: Type.String({ default: 'console=tty0 console=ttyS0,115200', description: 'Kernel options that choose the console of ephemeral and installed systems.' })
  }, { additionalProperties: false }),
  rpc: {},
  wanted: {
    /** id = a MAC of the machine. `files` and `token` are there when the purpose needs them. */
    machine: Type.Object({
      machine: Text, hostname: Text, purpose: Type.Union([Type.Literal('commission'), Type.Literal('deploy'), Type.Literal('release'), Type.Literal('local'), Type.Literal('poweroff')]),
      token: Type.Union([Text, Type.Null()]), files: Type.Union([Files, Type.Null()]), reason: Type.Union([Text, Type.Null()])
    }),
    /** id = the architecture: what a machine nobody knows boots. */
    unknown: Files
  },
  facts: {
    /** A request by a machine. `what`: the path or script. `bytes` sent, `milliseconds` from first packet to last; `retries`: packets sent again, or logins after the first. */
    served: Type.Object({ machine: Type.Union([Text, Type.Null()]), mac: Type.Union([Text, Type.Null()]), address: Text, by: Type.Union([Type.Literal('tftp'), Type.Literal('http'), Type.Literal('iscsi')]), what: Text, bytes: Type.Integer(), milliseconds: Type.Integer(), failure: Type.Union([Text, Type.Null()]), retries: Type.Optional(Type.Integer({ minimum: 0 })) })
  }
})
