/** Who refuses iPXE, as a whole rack half finds it out: from what it serves by HTTP and what it hears of DHCP, without answering any. */
import { afterEach, beforeEach, expect, test } from 'vitest'
import { option } from '../../../plugins/dhcp/options/codes.ts'
import { u16 } from '../../../plugins/dhcp/options/values.ts'
import type { Step } from '../../../plugins/dhcp/v4/chain.ts'
import { until } from '../../kit/wait.ts'
import { packetOf, segmentWith } from '../dhcp/build.ts'
import { fakeFiles } from './fakes.ts'
import { folder, rackHalf } from './rig.ts'

const mac = '52:54:00:00:00:07'
const segment = segmentWith()
const closing: (() => Promise<unknown>)[] = []
let rack: Awaited<ReturnType<typeof rackHalf>>
beforeEach(async () => {
  const disk = await folder({ 'ipxe.efi': Buffer.alloc(100), 'shimx64.efi.signed': Buffer.alloc(100), 'grubnetx64.efi.signed': Buffer.alloc(100) })
  closing.push(() => disk.remove())
  rack = await rackHalf(fakeFiles({}).store, { loaderDirectory: disk.path })
  closing.push(rack.close)
  const loaders = rack.running.services.find(({ name }) => name === 'loaders')!
  await loaders.start(new AbortController().signal)
  closing.push(() => loaders.stop())
})
afterEach(async () => { for (const close of closing.splice(0).reverse()) await close() })

const hear = (): Step => rack.dhcp.open(segment, packetOf({ type: 'DISCOVER', mac, vendor: 'PXEClient:Arch:00007:UNDI:003000', options: [[option.architecture, u16(7)]] })) as Step
const told = (): string | undefined => rack.dhcp.boot(hear())?.file
const refusals = () => rack.reports.filter(body => !('by' in body))
async function fetched (path: string): Promise<void> {
  const { length } = rack.reports
  await (await fetch(`${rack.base}/boot${path}`)).arrayBuffer()
  await until(() => rack.reports.length > length)
}
/** The machine has the address from which this test asks. */
function bound (): void {
  const step = hear()
  step.decision = { kind: 'bind', address: 0x7f000001, subnet: segment.subnets[0]!, hostname: null, refused: 'drop' }
  rack.dhcp.boot(step)
}

test('who has fetched iPXE, and is heard again as firmware, has refused it', async () => {
  bound()
  await fetched('/loaders/ipxe.efi')
  hear()
  expect(refusals()).toEqual([{ mac, machine: null }])
  expect(told()).toBe('shimx64.efi')
})

test('who has fetched the script as well runs iPXE, although its DHCP was not heard here', async () => {
  bound()
  await fetched('/loaders/ipxe.efi')
  await fetched(`/ipxe/${mac}`)
  hear()
  expect(refusals()).toEqual([])
  expect(told()).toBe('ipxe.efi')
})

test('what another rack has found out counts here, until the region says it no more', () => {
  rack.running.apply!({ put: [{ kind: 'refused', id: mac, value: {} }], remove: [] }, true)
  expect(told()).toBe('shimx64.efi')
  rack.running.apply!({ put: [], remove: [{ kind: 'refused', id: mac }] }, false)
  expect(told()).toBe('ipxe.efi')
})
