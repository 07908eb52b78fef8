/** What the API of machines shows and takes: schemas, and rows as the client sees them. Pure. */
import { Type, type Static } from 'typebox'
import { ways } from '../images/manifest.ts'
import { hostnamePattern } from './names.ts'
import type { MachineRow } from './transition.ts'
import { purpose } from './transition.ts'

const Text = Type.String()
const Maybe = Type.Union([Text, Type.Null()])
export const Hostname = Type.String({ pattern: hostnamePattern, description: 'one DNS label, lower case' })
export const Tag = Type.String({ pattern: '^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$', description: 'letters, digits, ".", "_" and "-", at most 63' })
export const ByName = Type.Object({ name: Type.String({ minLength: 1, maxLength: 63, description: 'id or hostname' }) })

const State = Type.Enum(['on', 'off', 'unknown', 'error'])
export const MachineView = Type.Object({
  id: Text, hostname: Text, status: Text, reason: Maybe, since: Text, deadline: Maybe, purpose: Text, architecture: Text, firmware: Text, owner: Maybe,
  interfaces: Type.Array(Type.Object({ mac: Text, name: Maybe, vlanId: Maybe, boot: Type.Boolean() })),
  inventory: Type.Unknown({ description: 'what commissioning found, or null' }),
  deployment: Type.Union([Type.Object({ imageId: Text, sshKeys: Type.Array(Text), userData: Maybe, disk: Maybe }), Type.Null()]),
  installed: Type.Boolean(), hostKeys: Type.Array(Text), tags: Type.Array(Text),
  bootWay: Type.Union([Type.Enum([...ways]), Type.Null()], { description: 'how a system that runs from memory gets its root; null: as its image says' }),
  power: Type.Object({ driver: Maybe, state: State, checkedAt: Maybe, error: Maybe })
})
export const EventView = Type.Object({ id: Text, at: Text, type: Text, level: Text, message: Text, data: Type.Unknown() })
export const PowerConfiguration = Type.Object({
  driver: Type.Optional(Type.String({ minLength: 1, maxLength: 64, description: 'may be left out when the address begins with it: redfish+https://…' })),
  address: Type.Optional(Type.String({ minLength: 1, maxLength: 512, description: 'the same as parameters.address' })),
  parameters: Type.Optional(Type.Record(Type.String({ maxLength: 64 }), Type.Unknown(), { description: 'as GET /api/v1/power/drivers tells' }))
})
const MemberView = Type.Object({ member: Text, id: Text, hostname: Text, configured: Type.Boolean({ description: 'its power was set now; one that had its own keeps it' }) })
export const ChassisView = Type.Object({
  driver: Text, added: Type.Array(MemberView, { description: 'nobody knew them' }), known: Type.Array(MemberView, { description: 'by a MAC address, or by the UUID of their firmware' }), failed: Type.Array(Type.Object({ member: Text, reason: Text }))
})
export const PowerView = Type.Object({ driver: Maybe, parameters: Type.Record(Type.String(), Type.Unknown()), state: State, checkedAt: Maybe, error: Maybe })

interface Known { readonly state: Static<typeof State>, readonly checkedAt: Date | null, readonly error: string | null }

/** The machine as clients see it. */
export const view = (m: MachineRow, driver: string | null, known: Known | undefined): Static<typeof MachineView> => ({
  id: m.id, hostname: m.hostname, status: m.status, reason: m.reason, since: m.since.toISOString(), deadline: m.deadline?.toISOString() ?? null, purpose: purpose(m), architecture: m.architecture, firmware: m.firmware, owner: m.owner,
  interfaces: m.interfaces.map(({ mac, name, vlanId, boot }) => ({ mac, name, vlanId, boot })), inventory: m.inventory,
  deployment: m.deployment === null ? null : { ...m.deployment, sshKeys: [...m.deployment.sshKeys] },
  installed: m.installed, hostKeys: [...m.hostKeys], tags: [...m.tags], bootWay: m.bootWay,
  power: { driver, state: known?.state ?? 'unknown', checkedAt: known?.checkedAt?.toISOString() ?? null, error: known?.error ?? null }
})
