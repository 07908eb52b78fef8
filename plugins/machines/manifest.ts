/** machines: what is provisioned, and the states it goes through. Data and types only. */
import type { AsyncSeriesHook } from 'tapable'
import { Type } from 'typebox'
import { defineManifest, token, type Query, type Tx } from '../../core/plugin.ts'
import type { Way } from '../images/manifest.ts'

export const manifest = defineManifest({
  name: 'machines',
  config: Type.Object({
    commissioningMinutes: Type.Number({ default: 20, exclusiveMinimum: 0, description: 'How long a machine may be Commissioning before it is Failed commissioning.' }),
    deployingMinutes: Type.Number({ default: 40, exclusiveMinimum: 0, description: 'How long a machine may be Deploying before it is Failed deployment.' }),
    releasingMinutes: Type.Number({ default: 15, exclusiveMinimum: 0, description: 'How long a machine may be Releasing before it is Failed releasing.' })
  }, { additionalProperties: false }),
  migrations: new URL('./migrations/', import.meta.url),
  rpc: {},
  wanted: {},
  facts: {}
})

export const statuses = ['New', 'Commissioning', 'Failed commissioning', 'Ready', 'Allocated', 'Deploying', 'Failed deployment', 'Deployed', 'Releasing', 'Failed releasing', 'Broken'] as const
export type Status = typeof statuses[number]
/** What a machine shall do when it boots from the network. */
export type Purpose = 'enlist' | 'commission' | 'deploy' | 'release' | 'local' | 'poweroff'
/** What may happen to a machine. `commissioned`, `installed`, `deployed`, `released` come from the machine itself, `failed` and `timeout` from whoever notices. */
export type MachineEvent = 'commission' | 'commissioned' | 'allocate' | 'deploy' | 'installed' | 'deployed' | 'release' | 'released' | 'abort' | 'failed' | 'timeout' | 'mark-broken' | 'mark-fixed'

export interface MachineInterface { readonly mac: string, readonly name: string | null, readonly vlanId: string | null, readonly boot: boolean }
export interface Disk { readonly name: string, readonly size: number, readonly model: string | null, readonly serial: string | null, readonly rotational: boolean }
/** What commissioning found. `memory` in MiB, disk sizes in bytes. `dmi`: manufacturer, product, serial, uuid and the like. */
export interface Inventory {
  readonly architecture: string, readonly firmware: 'bios' | 'uefi', readonly cpu: { readonly count: number, readonly model: string }, readonly memory: number
  readonly disks: readonly Disk[], readonly interfaces: readonly { readonly mac: string, readonly name: string, readonly speed: number | null, readonly link: boolean | null }[]
  readonly dmi: Readonly<Record<string, string>>
  readonly bmc?: { readonly address: string } // where it says its BMC is; absent where it does not say
  readonly secureBoot?: boolean // whether the firmware starts only what is signed; absent where it does not say
}
/** What was asked for at deployment. `disk` names the target; by default the smallest that is large enough. */
export interface Deployment { readonly imageId: string, readonly sshKeys: readonly string[], readonly userData: string | null, readonly disk: string | null }
export interface Machine {
  readonly id: string, readonly hostname: string, readonly status: Status, readonly reason: string | null, readonly since: Date, readonly deadline: Date | null
  readonly architecture: string, readonly firmware: 'bios' | 'uefi' | 'unknown', readonly interfaces: readonly MachineInterface[], readonly owner: string | null
  readonly inventory: Inventory | null, readonly deployment: Deployment | null, readonly installed: boolean // the installer is done; the next boot is from disk
  readonly hostKeys: readonly string[] // SSH host keys the deployed system reported
  readonly tags: readonly string[] // each once, sorted
  readonly bootWay: Way | null // how a system that runs from memory gets its root; null: as its image says
}
export interface MachineRecord { readonly type: string, readonly level: 'debug' | 'info' | 'warning' | 'error', readonly message: string, readonly data?: Readonly<Record<string, unknown>> }
export interface Transition { readonly machine: Machine, readonly from: Status | null, readonly to: Status, readonly event: MachineEvent | 'enlisted' | 'removed' }

/** Given to region halves. Change-log topics: `machines.machine`, `machines.event` (id = the machine). */
export interface MachineService {
  get(q: Query, id: string): Promise<Machine | undefined>
  byMac(q: Query, mac: string): Promise<Machine | undefined>
  list(q: Query): Promise<readonly Machine[]>
  purpose(machine: Machine): Purpose
  /** Takes the machine through the event, in the caller's transaction, under its row lock. TRANSITION_INVALID, NOT_FOUND. Repeating an event that has already had its effect changes nothing. */
  act(tx: Tx, id: string, event: MachineEvent, details?: { readonly reason?: string, readonly by?: string, readonly deployment?: Deployment, readonly hostKeys?: readonly string[] }): Promise<Machine>
  /** Appends to the machine's history. */
  record(tx: Tx, id: string, record: MachineRecord): Promise<void>
  /** A machine nobody knows has booted: makes it New, or gives the one that already has one of the MACs. */
  enlist(tx: Tx, found: { readonly macs: readonly string[], readonly bootMac: string, readonly architecture: string, readonly firmware: 'bios' | 'uefi', readonly vlanId: string | null, readonly inventory: Inventory | null }): Promise<Machine>
  saveInventory(tx: Tx, id: string, inventory: Inventory, vlanOfBoot: string | null): Promise<void>
  readonly hooks: {
    /** series: in the transaction of each transition, before it commits. A throw is a veto. */
    readonly transition: AsyncSeriesHook<[Tx, Transition]>
  }
}
export const Machines = token<MachineService>('machines.service')
