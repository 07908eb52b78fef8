/** What is offered: targets with their logical units, and who may use them. Data and types only. */
import type { Credentials } from './chap.ts'
import type { Disk } from './disk/disk.ts'

export interface Unit {
  /** Opens the disk when the first session that has it begins; it is closed when the last one ends. */
  readonly open: (initiator: string) => Disk
  /** One disk for all initiators, or one for each. */
  readonly shared: boolean
  readonly readOnly: boolean
  /** Bytes of a block: 512 or 4096. */
  readonly blockLength: number
  /** Of the medium: equal wherever the same content is served, so that an initiator that changes the server goes on with the same disk. */
  readonly serial: string
  /** Whether what is unmapped is told as such. */
  readonly thin: boolean
}
export interface Target {
  /** An iSCSI name, lower case. */
  readonly name: string
  readonly alias?: string
  readonly units: ReadonlyMap<number, Unit>
  /** Sessions go on when it is not offered any more, with the disks they have; only new ones are refused. */
  readonly lingers?: true
  /** Names of initiators that may log in; absent: any. */
  readonly initiators?: readonly string[]
  /** Who must prove to be whom; absent: nobody. `self`: with what this side proves itself when it is asked to. */
  readonly chap?: { readonly initiators: readonly Credentials[], readonly self?: Credentials }
}
