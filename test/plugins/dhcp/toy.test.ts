/** Another plugin's rack half extends DHCP by the token `Dhcp`: from packets in to packets out. */
import { Type } from 'typebox'
import { expect, it } from 'vitest'
import { createHooks } from '../../../core/hooks.ts'
import { createLogger } from '../../../core/log.ts'
import { createMetrics } from '../../../core/metrics.ts'
import { defineManifest, defineRack } from '../../../core/plugin.ts'
import { ipText } from '../../../plugins/dhcp/v4/ipv4.ts'
import { Dhcp } from '../../../plugins/dhcp/manifest.ts'
import { messageName, option } from '../../../plugins/dhcp/options/codes.ts'
import { readU8 } from '../../../plugins/dhcp/options/values.ts'
import { decode, encode } from '../../../plugins/dhcp/v4/packet.ts'
import rack from '../../../plugins/dhcp/rack.ts'
import { createResponder } from '../../../plugins/dhcp/rack/responder.ts'
import { until } from '../../kit/wait.ts'
import { manualClock } from '../../kit/clock.ts'
import { me, other, packetOf } from './build.ts'
import type { Wire } from './build.ts'

const manifest = defineManifest({ name: 'toy', config: Type.Object({}), rpc: {}, wanted: {}, facts: {} })
/** Tells thin clients where their desktop is, and keeps one machine out. Half of it is broken. */
const toy = defineRack(manifest, {
  requires: { dhcp: Dhcp },
  provides: {},
  setup ({ deps: { dhcp } }) {
    dhcp.hooks.classify.tap('toy', (classes, { packet }) => packet.options.get(option.vendorClass)?.toString().startsWith('Thin') === true ? [...classes, 'thin'] : classes)
    dhcp.hooks.options.tap('toy', (options, { classes }) => classes.includes('thin') ? new Map([...options, [224, Buffer.from('desktop.example.org')]]) : options)
    dhcp.hooks.address.tap('toy', (decision, { packet }) => packet.mac === other ? { kind: 'drop', reason: 'vetoed' } : decision)
    for (const hook of Object.values(dhcp.hooks)) hook.tap('broken', () => { throw new Error('half of it is broken') })
    return { provides: {}, rpc: {}, services: [] }
  }
})

it('is what the rack half gives to those that require it', () => { expect(rack.provides).toEqual({ dhcp: Dhcp }) })

it('an option for its class, a veto, and what is broken costs nothing', async () => {
  const [clock, metrics, log] = [manualClock(Date.now()), createMetrics(), createLogger('silent')]
  const responder = createResponder({
    config: { rackHttpPort: 5248, firmwareLeaseSeconds: 120, quarantineSeconds: 600, blockSize: 8, reserveSize: 0, newClientPoolSeconds: 60, newClientsPerSecond: 1000, newClientsPerPort: 1000, newClientsPortBurst: 1000 },
    log, clock, metrics, boot: { now: () => clock.monotonic(), id: 'boot' }, report: () => {}, journal: () => { throw new TypeError('no journal here') },
    region: {
      bind: async ({ wishes }) => ({ answers: wishes.map(() => ({ stored: true, expires: new Date(clock.now() + 600_000).toISOString(), number: '1', reason: null, quiet: false })) }),
      grant: async () => ({ addresses: [] }),
      sync: async () => { throw new TypeError('no region here') }
    }
  })
  toy.setup({ config: {}, deps: { dhcp: responder.chain }, hooks: createHooks(), log, clock, metrics, controller: { id: 'r', hostname: 'r', roles: ['rack'], version: '0', dataDirectory: '/nonexistent' }, region: {}, report: () => ({ stored: async () => true }) })
  responder.apply({
    put: [
      { kind: 'segment', id: '1', value: { interface: 'eth0', address: '192.0.2.2', rank: 0, mtu: 1500, subnets: [{ id: 's1', cidr: '192.0.2.0/24', gateway: '192.0.2.1', dnsServers: [], dynamic: [{ start: '192.0.2.100', end: '192.0.2.199' }], leaseSeconds: 600 }] } },
      { kind: 'block', id: 's1', value: { addresses: ['192.0.2.100', '192.0.2.101', '192.0.2.102'] } }
    ],
    remove: []
  }, true)
  const [segment] = responder.memory.segments.values()
  const heard: { type: string | undefined, address: string, told: string | undefined }[] = []
  const say = (wire: Wire) => {
    responder.receive(segment!, encode(packetOf(wire)), data => {
      const reply = decode(Buffer.from(data))
      heard.push({ type: messageName(readU8(reply.options.get(option.messageType))), address: ipText(reply.yiaddr), told: reply.options.get(224)?.toString() })
    })
  }
  say({ type: 'DISCOVER', mac: me, vendor: 'ThinClient 3' })
  say({ type: 'REQUEST', mac: me, vendor: 'ThinClient 3', server: '192.0.2.2', requested: '192.0.2.100' })
  await until(() => heard.length === 2, { what: 'the client has its ACK' })
  say({ type: 'DISCOVER', mac: other, vendor: 'ThinClient 3' })
  say({ type: 'DISCOVER', mac: '52:54:00:00:00:03' })
  expect(heard).toEqual([
    { type: 'OFFER', address: '192.0.2.100', told: 'desktop.example.org' }, { type: 'ACK', address: '192.0.2.100', told: 'desktop.example.org' },
    { type: 'OFFER', address: '192.0.2.101', told: undefined }
  ])
  const counted = await metrics.registry.metrics()
  expect(counted).toContain('bedplate_dhcp_dropped{reason="vetoed"} 1')
  expect(counted).toContain('bedplate_dhcp_tap_failures{stage="options",tap="broken"} 3')
})
