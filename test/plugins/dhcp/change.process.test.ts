/** From the API's answer to what a rack tells its clients: through the database, the change log, the link and the rack's disk, with 10,000 bindings in place. */
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { Type } from 'typebox'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { defineManifest, definePlugin, defineRack } from '../../../core/plugin.ts'
import { Chain } from '../../../plugins/dhcp/v4/chain.ts'
import dhcp from '../../../plugins/dhcp/index.ts'
import { Dhcp } from '../../../plugins/dhcp/manifest.ts'
import { segmentOf } from '../../../plugins/dhcp/v4/segment.ts'
import network from '../../../plugins/network/index.ts'
import { startDaemon } from '../../kit/daemon.ts'
import type { Daemon } from '../../kit/daemon.ts'
import { until } from '../../kit/wait.ts'
import { me } from './build.ts'

const [bindings, changes] = [10_000, 10]
let daemon: Daemon
let chain: Chain | undefined
let subnet = ''
beforeAll(async () => {
  const manifest = defineManifest({ name: 'stage', config: Type.Object({}), rpc: {}, wanted: {}, facts: {} })
  const stage = definePlugin({ manifest, rack: async () => defineRack(manifest, { requires: { dhcp: Dhcp }, provides: {}, setup ({ deps }) { if (deps.dhcp instanceof Chain) chain = deps.dhcp; return { provides: {}, rpc: {}, services: [] } } }) })
  daemon = await startDaemon({ plugins: [network, dhcp, stage], config: { network: { ignoreInterfaces: ['*'] } } })
  const rack = (await readFile(join(daemon.dataDirectory, 'controller.id'), 'utf8')).trim()
  const post = async (path: string, body: object) => (await daemon.request<{ id: string }>('POST', `/api/v1/network/${path}`, body)).body.id
  subnet = await post('subnets', { vlanId: '1', cidr: '10.0.0.0/16' })
  await post('ranges', { subnetId: subnet, kind: 'dynamic', start: '10.0.1.0', end: '10.0.200.255' })
  const db = daemon.kernel.db!
  await db.query(`insert into dhcp.address (address, subnet_id, mac, bound_at, expires) select inet '10.0.1.0' + n, $1, '02:00:00:00:' || lpad(to_hex(n / 256), 2, '0') || ':' || lpad(to_hex(n % 256), 2, '0'), now(), now() + interval '1 hour' from generate_series(0, $2) n`, [subnet, bindings - 1])
  await db.tx(async tx => { // an interface that this machine does not have: the rack is told of the VLAN, and opens no socket
    await tx.query(`insert into network.rack_interface values ($1, 'bpnone0', '52:54:00:00:00:01', true)`, [rack])
    await tx.query(`insert into network.rack_address values ($1, 'bpnone0', '10.0.0.2', 16)`, [rack])
    await tx.changed('network.attachment', rack)
  })
  const { status, body } = await daemon.request('PUT', '/api/v1/dhcp/vlans/1', { enabled: true })
  expect([status, body]).toMatchObject([200, { serving: [rack] }])
})
afterAll(() => daemon?.stop())

/** What a client is told there now. */
const told = (code: number) => {
  const segment = segmentOf('1', { interface: 'bpnone0', address: '10.0.0.2', rank: 0, mtu: 1500, subnets: [{ id: subnet, cidr: '10.0.0.0/16', gateway: null, dnsServers: [], dynamic: [], leaseSeconds: 600 }] })
  return chain?.told.of(segment, segment.subnets[0]!, me).values.get(code)?.toString('hex')
}

describe('a changed option', () => {
  it('is what the rack tells its clients, each time', async () => {
    for (let turn = 1; turn <= changes; turn++) {
      expect((await daemon.request('PUT', '/api/v1/dhcp/options/global/ntp-servers', { value: `10.0.0.${turn}` })).status).toBe(200)
      await until(() => told(42) === `0a0000${turn.toString(16).padStart(2, '0')}`, { interval: 1, what: `change ${turn} on the rack` })
    }
    expect((await daemon.request('DELETE', '/api/v1/dhcp/options/global/ntp-servers')).status).toBe(204)
    await until(() => told(42) === undefined)
  })
})
