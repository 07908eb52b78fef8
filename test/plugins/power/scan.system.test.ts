/** A whole scan: a range of a network of its own, with simulated BMCs on their usual ports, looked at from a rack in another namespace; and the machines that are linked by it. */
import type { ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { systemClock } from '../../../core/clock.ts'
import { BedplateError } from '../../../core/errors.ts'
import { createSecrets } from '../../../core/secrets.ts'
import { scanSealedAs } from '../../../plugins/power/region/found-scans.ts'
import type { RackClient } from '../../../plugins/power/region/racks.ts'
import { insertScan } from '../../../plugins/power/store/found.ts'
import { createNetwork, type TestNetwork } from '../../kit/network.ts'
import { until } from '../../kit/wait.ts'
import { createParts, rackThat, testTerm, type Parts } from '../machines/parts.ts'
import type { Simulated } from './scanning/bmcs.ts'
import type { Answered, Asked } from './scanning/rack.ts'

const account = { user: 'admin', password: 'scan me not' }
const uuid = (last: number): string => `4c4c4544-0042-3310-8054-b2c04f4d4d${last.toString(16).padStart(2, '0')}`
const swapped = (text: string): string => text.split('-').map((field, index) => index < 3 ? (field.match(/../g) ?? []).reverse().join('') : field).join('-')
const bmcs: readonly Simulated[] = [
  { host: '10.71.0.10', name: 'both', uuid: uuid(1), ...account, ipmi: true, redfish: true }, { host: '10.71.0.20', name: 'old', uuid: uuid(2), ...account, ipmi: true, redfish: false },
  { host: '10.71.0.200', name: 'new', uuid: uuid(3), ...account, ipmi: false, redfish: true }, { host: '10.71.0.201', name: 'other', uuid: uuid(4), user: 'root', password: 'another one', ipmi: false, redfish: true }
]
let network: TestNetwork
let parts: Parts
let rack: ChildProcess
const started = async (child: ChildProcess): Promise<ChildProcess> => { await once(child, 'message'); return child }
beforeAll(async () => {
  network = await createNetwork()
  const [near, far] = [await network.namespace(), await network.namespace()]
  await network.cable({ namespace: near, name: 'bmc', addresses: ['10.71.0.1/24'] }, { namespace: far, name: 'bmc', addresses: bmcs.map(({ host }) => `${host}/24`) })
  const there = join(import.meta.dirname, 'scanning')
  const [one] = await Promise.all([started(near.node(join(there, 'rack.ts'))), started(far.node(join(there, 'bmcs.ts'), bmcs.map(bmc => JSON.stringify(bmc))))])
  rack = one
  parts = await createParts({ clock: systemClock, racks: new Map([['r1', rackThat({ scan: params => ask('scan', params), query: params => ask('query', params) } as Partial<RackClient>)]]) })
  await scans().start(new AbortController().signal, testTerm(parts.db))
})
afterAll(async () => { await scans().stop(); await network.destroy(); await parts.db.drop() })

let asked = 0
function ask<T> (method: Asked['method'], params: unknown): Promise<T> {
  const id = ++asked
  return new Promise((resolve, reject) => {
    const hear = (message: unknown): void => {
      const answer = message as Answered
      if (answer.id !== id) return
      rack.off('message', hear)
      if (answer.error === undefined) resolve(answer.result as T)
      else reject(new BedplateError('CALL_FAILED', { method, controller: 'r1', reason: answer.error }))
    }
    rack.on('message', hear)
    rack.send({ id, method, params } satisfies Asked)
  })
}
const scans = () => {
  const service = parts.running.power.services.find(one => one.name === 'scans')
  if (service === undefined) throw new TypeError('no service')
  return service
}
let count = 0
const enlist = (product_uuid: string) => {
  const mac = `52:54:00:70:00:${(++count).toString(16).padStart(2, '0')}`
  return parts.db.tx(tx => parts.machines.enlist(tx, {
    macs: [mac], bootMac: mac, architecture: 'amd64', firmware: 'uefi', vlanId: null,
    inventory: { architecture: 'amd64', firmware: 'uefi', cpu: { count: 1, model: 'x' }, memory: 1, disks: [], interfaces: [], dmi: { product_uuid } }
  }))
}
interface FoundRow { readonly host: string, readonly driver: string, readonly uuid: string | null, readonly problem: string | null, readonly sealed: boolean }
const found = (): Promise<FoundRow[]> => parts.db.query<FoundRow>('select host(host) as host, driver, uuid, problem, secrets is not null as sealed from power.found order by found.host, driver')

test('a range is scanned, every BMC in it is found, and machines known before and after are powered by theirs', async () => {
  const before = await enlist(uuid(3))
  await parts.db.tx(async tx => {
    await insertScan(tx, '10.71.0.0/24', 254, id => createSecrets(Buffer.alloc(32, 7)).seal(JSON.stringify(account), scanSealedAs(id)), new Date())
    await tx.changed('power.scan', '1')
  })
  parts.running.power.changed?.([{ seq: '1', topic: 'power.scan', id: '1' }])
  await until(async () => (await parts.db.query<{ state: string }>('select state from power.scan'))[0]?.state === 'done', { timeout: 60_000, what: 'the scan to end' })
  const rows = await found()
  expect(rows).toMatchObject([
    { host: '10.71.0.10', driver: 'ipmi', problem: null, sealed: true }, { host: '10.71.0.10', driver: 'redfish', uuid: uuid(1), problem: null, sealed: true }, { host: '10.71.0.20', driver: 'ipmi', problem: null, sealed: true },
    { host: '10.71.0.200', driver: 'redfish', uuid: uuid(3), problem: null, sealed: true }, { host: '10.71.0.201', driver: 'redfish', uuid: null, problem: expect.stringContaining('refuses the credentials'), sealed: false }
  ])
  expect([uuid(2), swapped(uuid(2))]).toContain(rows[2]?.uuid)
  const [both, old, other] = [await enlist(swapped(uuid(1))), await enlist(uuid(2)), await enlist(uuid(4))]
  expect(await Promise.all([before, both, old, other].map(async ({ id }) => (await parts.power.configuration(parts.db, id))?.driver))).toEqual(['redfish', 'redfish', 'ipmi', undefined])
  for (const { id } of [before, both, old]) expect(await parts.power.query(id), id).toBe('off') // with the credentials of the scan, and the certificate it saw
}, 90_000)
