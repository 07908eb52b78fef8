/** What racks are told of BMCs, and what they are given to ask those with that are theirs. */
import { reasonOf } from '../../../core/errors.ts'
import type { Change, Database, Entry, Key, Logger } from '../../../core/plugin.ts'
import { endpointOf } from '../endpoint.ts'
import type { manifest } from '../manifest.ts'
import type { Parameters } from '../parameters.ts'
import * as store from '../store/routes.ts'
import { asking } from './assigner.ts'

type BmcEntry = Entry<typeof manifest.wanted>
type BmcKey = Key<typeof manifest.wanted>

export async function bmcEntries (db: Database, rack: string, keys?: readonly BmcKey[]): Promise<readonly BmcEntry[]> {
  const rows = await store.entries(db, asking, keys?.map(({ id }) => id))
  return rows.map(({ machine, driver, endpoint, poller, version, turn }) => ({
    kind: 'bmc', id: machine, value: { driver, endpoint: endpoint === null ? null : endpointOf(endpoint) ?? null, poll: poller === rack, version, turn }
  }))
}

/** The topic `power.bmc`: what racks are told of a machine is another one. */
export const touchedBmcs = (changes: readonly Change[]): readonly BmcKey[] => changes.filter(({ topic }) => topic === 'power.bmc').map(({ id }) => ({ kind: 'bmc', id }))

/** The credentials of those machines that are this rack's to ask. One whose secrets do not open is left out. */
export async function credentialsFor (db: Database, log: Logger, opened: (row: Awaited<ReturnType<typeof store.polled>>[number]) => { readonly parameters: Parameters }, rack: string, machines: readonly string[]) {
  return (await store.polled(db, rack, machines)).flatMap(row => {
    try {
      return [{ machine: row.machine, driver: row.driver, parameters: { ...opened(row).parameters }, version: row.version }]
    } catch (error) {
      log.warn({ machine: row.machine, reason: reasonOf(error) }, 'the credentials of a BMC cannot be opened; it is not asked')
      return []
    }
  })
}
