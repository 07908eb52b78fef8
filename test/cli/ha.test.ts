/** The printed configuration, without the programs: what is in it, that it stays the same, and that no name can put a line into it. */
import fc from 'fast-check'
import { createServer } from 'node:http'
import type { Server } from 'node:http'
import { isIP } from 'node:net'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { clusterOf, comment, isSame, vipOf, within } from '../../cli/ha/cluster.ts'
import type { Cluster, Known, Vip } from '../../cli/ha/cluster.ts'
import { renderHaproxy } from '../../cli/ha/haproxy.ts'
import { priorityOf, renderKeepalived } from '../../cli/ha/keepalived.ts'
import { run } from './cli.kit.ts'

const golden = (name: string) => join(import.meta.dirname, '../golden/ha', name)
const region = (number: number, more: Partial<Known> = {}): Known => ({ id: `0000000${number}-aaaa`, hostname: `region-${number}`, roles: ['region'], addresses: [`10.0.0.1${number}`], httpPort: 5240, api: [`http://10.0.0.1${number}:5240`], ...more })
const three = [region(1), region(2, { roles: ['region', 'rack'] }), { ...region(9), roles: ['rack'] }, region(3)]
const vip: Vip = { address: '10.0.0.10', prefix: 24 }
const nodeOf = (cluster: Cluster, index: number) => { const node = cluster.regions[index]; if (node === undefined) throw new Error('no such region'); return node }
const keepalived = (cluster: Cluster, more: Partial<Parameters<typeof renderKeepalived>[1]> = {}) => renderKeepalived(cluster, { vip: cluster.vip ?? vip, node: nodeOf(cluster, 1), interface: 'eth0', ...more })
/** What the programs read of a file. */
const directives = (text: string) => text.split('\n').map(line => line.trim()).filter(line => line !== '' && !line.startsWith('#'))
const six = clusterOf([1, 2].map(number => region(number, { addresses: [`2001:db8::${number}`], api: [`http://[2001:db8::${number}]:5240`] })), { address: '2001:db8::10', prefix: 64 })

describe('the files', () => {
  const cluster = clusterOf(three, vip)
  it.each([
    ['haproxy.cfg', renderHaproxy(cluster)],
    ['haproxy-tls-vip.cfg', renderHaproxy(six, { certificate: '/etc/haproxy/bedplate.pem', onVip: true, runDirectory: '/run/door', healthPort: 5260 })],
    ['keepalived.conf', keepalived(cluster)],
    ['keepalived-unicast-dns.conf', keepalived(cluster, { unicast: true, dns: true, routerId: 7 })],
    ['keepalived-direct-password.conf', keepalived(cluster, { direct: true, password: 's3cret' })],
    ['keepalived-6.conf', keepalived(six, { unicast: true })]
  ])('%s is as it was', async (name, text) => { await expect(text).toMatchFileSnapshot(golden(name)) })

  it('are the same each time', () => {
    expect(renderHaproxy(clusterOf(structuredClone(three), vip))).toBe(renderHaproxy(cluster))
    expect(keepalived(clusterOf(structuredClone(three), vip))).toBe(keepalived(cluster))
  })
  it('change by its own lines when a region joins', () => {
    const before = directives(renderHaproxy(cluster))
    const after = directives(renderHaproxy(clusterOf([...three, region(4)], vip)))
    expect(after.filter(line => !before.includes(line))).toEqual(Array(2).fill('server region-4 10.0.0.14:5240 check'))
    expect(directives(keepalived(clusterOf([...three, region(4)], vip)))).toEqual(directives(keepalived(cluster)))
  })
  it('give each node a priority of its own, the oldest the highest', () => {
    const many = clusterOf(Array.from({ length: 20 }, (_, index) => region(1, { id: `id-${index}` })))
    const priorities = many.regions.map(node => priorityOf(many, node))
    expect(priorities.slice(0, 3)).toEqual([254, 234, 214])
    expect(new Set(priorities).size).toBe(14) // the youngest ones share the lowest
    expect(Math.max(...priorities) - Math.min(...priorities)).toBeLessThan(71)
    expect(Math.min(...priorities) - 71 - 112).toBeGreaterThan(0)
  })
  it('name a region that no other host can reach, and leave it out', () => {
    const some = clusterOf([region(1), region(2, { addresses: ['127.0.0.1'], api: ['http://127.0.0.1:5240'] })], vip)
    const text = renderHaproxy(some)
    expect(text).toContain('# LEFT OUT: region region-2 (00000002-aaaa): no address is known that other hosts reach')
    expect(directives(text).filter(line => line.startsWith('server '))).toEqual(Array(2).fill('server region-1 10.0.0.11:5240 check'))
    expect(renderKeepalived(some, { vip, node: nodeOf(some, 0), interface: 'eth0', unicast: true })).toContain('# LEFT OUT: region region-2')
  })
})

describe('the cluster', () => {
  const addressOf = (more: Partial<Known>, at?: Vip) => { const { regions: [one] } = clusterOf([region(1, more)], at); return [one?.address, one?.port] }
  it.each<[string, Partial<Known>, Vip | undefined, readonly [string | undefined, number]]>([
    ['takes the address in the network of the floating one', { api: ['http://192.0.2.1:80', 'http://10.0.0.7:8000'] }, vip, ['10.0.0.7', 8000]],
    ['takes the first when none is', { api: ['http://192.0.2.1:81', 'http://192.0.2.2:82'] }, vip, ['192.0.2.1', 81]],
    ['takes an address rather than a name', { api: ['http://one.example:5240', 'http://192.0.2.2:5240'] }, undefined, ['192.0.2.2', 5240]],
    ['takes a name rather than nothing', { api: ['http://localhost:5240', 'http://one.example:5240'] }, undefined, ['one.example', 5240]],
    ['takes IPv6 in the network of the floating address', { api: ['http://10.0.0.1:5240', 'http://[2001:db8::7]:5240'] }, { address: '2001:db8:0::10', prefix: 64 }, ['2001:db8::7', 5240]],
    ['knows the port of an older region', { api: [], addresses: ['10.0.0.1:5250', '10.0.0.2'], httpPort: null }, undefined, ['10.0.0.1', 5240]],
    ['takes brackets off', { api: [], addresses: ['[2001:db8::7]:5250'], httpPort: 80 }, undefined, ['2001:db8::7', 80]],
    ['takes no address of one cable', { api: [], addresses: ['fe80::1', 'fe80::1%eth0', '169.254.1.1', '::1', '0.0.0.0', '::'] }, undefined, [undefined, 5240]],
    ['takes nothing that is neither address nor name', { api: ['gopher', 'http://', 'http://300.1.2.3:5240'], addresses: ['a b', 'x\ny', '1.2.3', '-a', 'a_b'] }, undefined, [undefined, 5240]]
  ])('%s', (_, more, at, expected) => { expect(addressOf(more, at)).toEqual(expected) })

  it('tells regions of one name apart', () => {
    const names = clusterOf([region(1, { hostname: 'a b' }), region(2, { hostname: 'a-b' }), region(3, { hostname: 'a/b', id: '00000002-bbbb' }), region(4, { hostname: 'ü' }), region(5, { hostname: '…' })]).regions.map(({ name }) => name)
    expect(names).toEqual(['a-b', 'a-b-00000002', 'a-b-00000002-2', 'region', 'region-00000005'])
  })
  it('reads floating addresses', () => {
    expect(['10.0.0.10/24', '10.0.0.10', '2001:DB8::A/64', '::1'].map(vipOf)).toEqual([vip, { address: '10.0.0.10', prefix: 32 }, { address: '2001:db8::a', prefix: 64 }, { address: '::1', prefix: 128 }])
    expect(['10.0.0.10/33', '10.0.0.10/0', '10.0.0.256/24', '10.0.0/24', 'one', '', '2001:db8::1/129', '10.0.0.1/24\n', ' 10.0.0.1'].map(vipOf)).toEqual(Array(9).fill(undefined))
  })
  it('compares addresses by what they are', () => {
    expect([isSame('2001:db8::1', '2001:DB8:0:0::1'), isSame('10.0.0.1', '10.0.0.2'), isSame('::ffff:10.0.0.1', '::ffff:a00:1'), isSame('', '')]).toEqual([true, false, true, false])
    expect([within('10.0.1.1', vip), within('10.0.0.255', vip), within('2001:db8::1', vip), within('one', vip)]).toEqual([false, true, false, false])
  })
})

describe('hostile names', () => {
  const nasty = fc.oneof(fc.string({ unit: 'binary' }), fc.constantFrom('x\nglobal\n    stats socket /tmp/x', 'a # b', '"', "'; rm", '}\n', 'a\r\nserver b 1.2.3.4:1', '\u2028server', '%[env(HOME)]', '$HOME', '../x', '@include x', '!x'))
  const hostile = fc.array(fc.record({ id: nasty, hostname: nasty, roles: fc.constant(['region']), addresses: fc.array(nasty, { maxLength: 3 }), httpPort: fc.constantFrom(5240, null), api: fc.array(fc.oneof(nasty, nasty.map(host => `http://${host}:5240`)), { maxLength: 2 }) }), { minLength: 1, maxLength: 4 })

  it('add no line and no word to what the programs read', () => {
    fc.assert(fc.property(hostile, found => {
      const named = found.map((one, index) => ({ ...one, addresses: [...one.addresses, `10.0.0.${index + 1}`], api: [...one.api, `http://10.0.0.${index + 1}:5240`] }))
      const cluster = clusterOf(named, vip)
      expect(new Set(cluster.regions.map(({ name }) => name)).size).toBe(named.length)
      const plain = clusterOf(named.map((_, index) => region(index + 1, { api: [`http://10.0.0.${index + 1}:5240`] })), vip)
      const servers = (text: string) => directives(text).filter(line => line.startsWith('server '))
      const rest = (text: string) => directives(text).filter(line => !/^(server|router_id) /.test(line))
      expect(rest(renderHaproxy(cluster))).toEqual(rest(renderHaproxy(plain)))
      for (const line of servers(renderHaproxy(cluster))) expect(line).toMatch(/^server [A-Za-z0-9_][A-Za-z0-9_.-]* [A-Za-z0-9.:[\]-]+:\d+ check$/)
      const [node, same] = [nodeOf(cluster, 0), nodeOf(plain, 0)]
      expect(rest(renderKeepalived(cluster, { vip, node: { ...node, port: 5240 }, interface: 'eth0' }))).toEqual(rest(renderKeepalived(plain, { vip, node: same, interface: 'eth0' })))
      for (const text of [renderHaproxy(cluster), renderKeepalived(cluster, { vip, node, interface: 'eth0', unicast: true })]) expect(text).toMatch(/^[\x20-\x7e\n]*$/)
    }), { numRuns: 300 })
  })
  it('take part in no address', () => {
    fc.assert(fc.property(hostile, found => {
      for (const { address } of clusterOf(found).regions) if (address !== undefined) expect(isIP(address) !== 0 || /^[A-Za-z0-9.-]+$/.test(address)).toBe(true)
    }), { numRuns: 300 })
  })
  it('stay on one line of a comment', () => { expect(comment('a\nb\u0085c\u2028d')).toBe('a?b?c?d') })
})

describe('bedplate ha', () => {
  let server: Server
  let items: unknown[] = []
  let url = ''
  beforeAll(async () => {
    server = createServer((_, response) => { response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify({ items })) })
    await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
    url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  })
  afterAll(async () => { server.closeAllConnections(); await new Promise(resolve => server.close(resolve)) })
  const ha = (line: string, found: readonly unknown[] = three) => { items = [...found]; return run(`ha ${line}`, { env: { BEDPLATE_URL: url } }) }

  it('prints what the renderers make', async () => {
    const cluster = clusterOf(three, vip)
    expect(await ha('haproxy --vip 10.0.0.10/24')).toEqual({ code: 0, out: renderHaproxy(cluster), err: '' })
    expect(await ha('haproxy --port 8080')).toEqual({ code: 0, out: renderHaproxy(clusterOf(three), { port: 8080 }), err: '' })
    expect(await ha('keepalived --vip 10.0.0.10/24 --node region-3 --interface eth0 --router-id 9 --unicast --dns')).toEqual({ code: 0, out: renderKeepalived(cluster, { vip, node: nodeOf(cluster, 2), interface: 'eth0', routerId: 9, unicast: true, dns: true }), err: '' })
    expect((await ha('keepalived --vip 10.0.0.10/24 --node 00000002-aaaa --interface eth0')).out).toContain('priority 234\n')
  })
  it('prints the description for programs', async () => {
    expect(JSON.parse((await ha('keepalived --vip 10.0.0.10/24 --node region-2 --interface eth0 -o json')).out)).toEqual({
      vip, node: 'region-2', interface: 'eth0', priority: 234,
      regions: [1, 2, 3].map(number => ({ id: `0000000${number}-aaaa`, hostname: `region-${number}`, name: `region-${number}`, address: `10.0.0.1${number}`, port: 5240, priority: 274 - 20 * number }))
    })
  })
  it('prints the others and fails when a region cannot be reached', async () => {
    const { code, out, err } = await ha('haproxy', [region(1), region(2, { addresses: [], api: [] })])
    expect([code, err]).toEqual([1, 'bedplate: Left out, for no address is known that other hosts reach: region-2. Set rpc.advertise (or http.host) there and print this again.\n'])
    expect(out).toContain('server region-1 10.0.0.11:5240 check')
    const unicast = await ha('keepalived --vip 2001:db8::10/64 --node region-1 --interface eth0 --unicast')
    expect([unicast.code, unicast.err]).toEqual([1, expect.stringContaining('region-1, region-2, region-3')])
  })
  it.each([
    ['haproxy', [], 1, 'No region is registered'],
    ['haproxy', [{ ...region(1), roles: ['rack'] }], 1, 'No region is registered'],
    ['haproxy --on-vip', three, 2, '--on-vip needs --vip'],
    ['haproxy --port 70000', three, 2, 'whole number from 1 to 65535'],
    ['haproxy --certificate pem', three, 2, 'It must be an absolute path'],
    ['keepalived --interface eth0', three, 2, "required option '--vip <address>' not specified"],
    ['keepalived --vip ten --interface eth0', three, 2, 'Write it as 10.0.0.10/24'],
    ['keepalived --vip 10.0.0.10/24 --node region-7 --interface eth0', three, 2, 'region-7 is no region. Say with --node which one it is for: region-1 (00000001-aaaa), region-2'],
    ['keepalived --vip 10.0.0.10/24 --interface eth0', three, 2, 'is no region. Say with --node'],
    ['keepalived --vip 10.0.0.10/24 --node region-1', three, 2, 'Say with --interface which interface of that node'],
    ['keepalived --vip 10.0.0.11/24 --node region-1 --interface eth0', three, 2, '10.0.0.11 is the address of region region-1'],
    ['keepalived --vip 10.0.0.10/24 --node region-1 --interface eth0 --router-id 0', three, 2, 'whole number from 1 to 255'],
    ['keepalived --vip 10.0.0.10/24 --node region-1 --interface eth0 --password ninechars', three, 2, 'VRRP takes no more'],
    ['keepalived --vip 10.0.0.10/24 --node region-1 --interface }', three, 2, 'An interface has a name'],
    ['keepalived --vip 10.0.0.10/24 --node same --interface eth0', [region(1, { hostname: 'same' }), region(2, { hostname: 'same' })], 2, '"same" names 2 regions: say which by its id with --node']
  ])('%s is refused with a sentence', async (line, found, exit, sentence) => {
    const { code, out, err } = await ha(line, found)
    expect([code, out]).toEqual([exit, ''])
    expect(err).toContain(sentence)
  })
})
