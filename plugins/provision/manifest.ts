/** provision: what a machine is told once it runs our kernel: commissioning, installation, wiping, metadata. Data and types only. */
import { Type } from 'typebox'
import { defineManifest, token, type Query } from '../../core/plugin.ts'

const Text = Type.String()
export const manifest = defineManifest({
  name: 'provision',
  config: Type.Object({}, { additionalProperties: false }),
  migrations: new URL('./migrations/', import.meta.url),
  rpc: {},
  wanted: {
    /** id = the session's token. Rendered by the region; the rack hands the texts out to whoever holds the token. */
    session: Type.Object({
      machine: Text, purpose: Type.Union([Type.Literal('commission'), Type.Literal('deploy'), Type.Literal('release')]),
      script: Text, metaData: Text, userData: Text, vendorData: Text, networkConfig: Text
    }),
    /** id = 'enlist': the script a machine nobody knows runs. */
    enlist: Type.Object({ script: Text })
  },
  facts: {
    /** A machine nobody knows told what it is. `files`: outputs of its tools by name. */
    enlisted: Type.Object({ address: Text, files: Type.Record(Type.String(), Text) }),
    /** What a session's machine said. `done`/`total` in bytes where a stage moves data. `id`: the same when it is said again. */
    report: Type.Object({ token: Text, machine: Text, address: Text, stage: Text, status: Type.Union([Type.Literal('started'), Type.Literal('progress'), Type.Literal('ok'), Type.Literal('failed')]), message: Text, done: Type.Optional(Type.Number()), total: Type.Optional(Type.Number()), id: Type.Optional(Text) }),
    inventory: Type.Object({ token: Text, machine: Text, address: Text, files: Type.Record(Type.String(), Text) }),
    /** The deployed system runs. */
    phoneHome: Type.Object({ token: Text, machine: Text, address: Text, hostKeys: Type.Array(Text) })
  }
})

/** Given to region halves. Change-log topic: `provision.session` (id = the machine). */
export interface ProvisionService {
  /** The machine's present session, or undefined when it has none. `image`: the id of what is being installed, fixed when the deployment began. */
  session(q: Query, machine: string): Promise<{ readonly token: string, readonly image: string | null } | undefined>
}
export const Provision = token<ProvisionService>('provision.service')
