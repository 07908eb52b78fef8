/** What an operator sees at a glance: the status of a region that is well, of one that is not, and a machine with all there is to know of it. */
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { ago } from '../../cli/output.ts'
import { uploadOf } from '../plugins/provision/region.rig.ts'
import { readInventory } from '../../plugins/provision/inventory.ts'
import { openBench, run } from './cli.kit.ts'
import type { Bench } from './cli.kit.ts'

let bench: Bench
beforeAll(async () => {
  bench = await openBench()
  for (const [index, name] of ['fresh', 'probing', 'sick', 'ready'].entries()) await bench.json(`machine create --mac 52:54:00:00:01:0${index} --hostname ${name}`)
  for (const name of ['probing', 'sick', 'ready']) await bench.machine(name, 'commission')
  await bench.machine('sick', 'failed', { reason: 'memory: 3 of 4 modules answer' })
  await bench.machine('ready', 'commissioned')
})
afterAll(() => bench.close())
const see = async (line: string): Promise<string> => {
  const { code, out, err } = await bench.bedplate(line)
  expect([code, err]).toEqual([0, ''])
  return out
}

describe('the status of a region that is well', () => {
  it('counts its machines, and names those in trouble with their reason', async () => {
    const out = await see('status')
    for (const part of ['1 New', '1 Commissioning', '1 Ready', '1 Failed commissioning']) expect(out).toContain(part)
    expect(out).toMatch(/^Machines in trouble .*\n {2}sick +Failed commissioning +memory: 3 of 4 modules answer +\d+ s ago$/m)
  })

  it('tells what is left to do, with the commands', async () => {
    const { db } = bench.daemon.kernel
    await db!.query(`insert into network.rack_interface values ('rack-1', 'eth0', '52:54:00:00:00:01', true)`)
    await db!.query(`insert into network.rack_address values ('rack-1', 'eth0', '10.0.0.3', 24)`)
    const todo = (await see('status')).split('Left to do\n')[1]
    expect(todo).toMatch(/^ {2}No rack is linked: .* bedplate controller token\n {2}Rack rack-1, eth0: No subnet holds 10\.0\.0\.3\. +bedplate subnet create 10\.0\.0\.0\/24\n {2}DHCP is on nowhere: .* bedplate vlan enable-dhcp <vlan>\n {2}No image: .* bedplate image build --import\n$/)
    await see('subnet create 10.0.0.0/24')
    await see('range create 10.0.0.10 10.0.0.20 --subnet 10.0.0.0/24')
    await see('vlan enable-dhcp 10.0.0.0/24') // a VLAN by a subnet on it
    expect((await see('status')).split('Left to do\n')[1]).not.toMatch(/DHCP|subnet/)
    expect(await see('vlan list')).toContain('on: rack-1')
  })

  it('is for programs what the region said', async () => {
    expect(await bench.json('status')).toMatchObject({ ready: true, services: expect.arrayContaining([expect.objectContaining({ plugin: 'machines', service: 'deadlines', state: 'running' })]) })
  })
})

describe('the status of a region that is not', () => {
  const status = {
    controller: { id: 'r1', hostname: 'north', roles: ['region', 'rack'], version: '1.2.3' }, phase: 'ready', ready: false, leading: undefined,
    notReady: [{ part: 'database', state: 'dead', reason: 'No server at db:5432 answers. Start one.' }], degraded: [{ part: 'boot/tftp', state: 'dead', reason: 'Port 69 is taken by another program. Stop it.' }],
    services: [
      { plugin: 'boot', service: 'tftp', state: 'dead', reason: 'Port 69 is taken by another program. Stop it.', since: new Date().toISOString(), restarts: 3 }, { plugin: 'power', service: 'poll', state: 'off', reason: 'Runs on the leading region only.', since: '', restarts: 0 },
      { plugin: 'core', service: 'http', state: 'running', since: '', restarts: 0 }
    ],
    links: [
      { controller: 'r2', url: 'wss://south:5250', up: false, since: new Date(Date.now() - 120_000).toISOString(), reason: 'connect ECONNREFUSED' }, { controller: 'r3', url: 'wss://east:5250', up: true, since: new Date().toISOString() },
      { controller: 'r4', url: 'wss://west:5250', up: true, reason: 'this region cannot reach its database: timeout' }
    ],
    linkedRacks: ['k1'],
    racks: [{ rack: 'k1', plugin: 'dhcp', position: '1', acknowledgedAt: '', error: 'eth0 is gone', linked: true }, { rack: 'k2', plugin: 'dhcp', position: '1', acknowledgedAt: '', error: null, linked: false }]
  }
  it('tells all it can though nothing else answers: what does not run, why, which racks are cut off; and fails', async () => {
    const server = createServer((request, response) => {
      if (request.url === '/api/v1/status') response.end(JSON.stringify(status))
      else if (request.url === '/api/v1/controllers') response.end(JSON.stringify({ items: [{ id: 'k2', hostname: 'rack-two' }, { id: 'r2', hostname: 'south' }] }))
      else response.writeHead(503, { 'content-type': 'application/problem+json' }).end('{"code":"DATABASE_UNREACHABLE","detail":"no"}')
    })
    await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
    const { code, out, err } = await run('status', { env: { BEDPLATE_URL: `http://127.0.0.1:${(server.address() as AddressInfo).port}` } })
    server.closeAllConnections()
    await new Promise(resolve => server.close(resolve))
    expect({ code, err, out: out.split('\n') }).toEqual({
      code: 1, err: 'bedplate: north is not ready.\n', out: [
        'Region:    north (r1), region and rack, version 1.2.3', 'Ready:     no', 'Leader:    another region', 'Racks:     k1 (linked), rack-two (NOT LINKED)', 'Machines:  unknown', '',
        'Does not run as it should', '  database   dead  No server at db:5432 answers. Start one.', '  boot/tftp  dead  Port 69 is taken by another program. Stop it.', '  link       down  to south at wss://south:5250, went 2 min ago: connect ECONNREFUSED',
        '  link       up    to r4 at wss://west:5250: this region cannot reach its database: timeout', '',
        'Racks that could not take their orders', '  k1  dhcp  eth0 is gone', '', 'Off, as it is meant to be', '  power/poll  Runs on the leading region only.', ''
      ]
    })
  })
})

describe('the status of a rack', () => {
  const answering = async (work: (url: string) => Promise<void>): Promise<void> => {
    const server = createServer((request, response) => {
      if (request.url === '/readyz') response.end(JSON.stringify({ status: 'ready', notReady: [], degraded: [{ part: 'core/rack-links', state: 'degraded', reason: 'no link to 1 of 3 regions (r2: connect ECONNREFUSED); the others do their work' }] }))
      else response.writeHead(404, { 'content-type': 'application/problem+json' }).end('{"code":"NOT_FOUND","detail":"There is no such thing."}')
    })
    await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
    try { await work(`http://127.0.0.1:${(server.address() as AddressInfo).port}`) } finally {
      server.closeAllConnections()
      await new Promise(resolve => server.close(resolve))
    }
  }

  it('tells which regions it misses, though it has no API', () => answering(async url => {
    const { code, out, err } = await run('status', { env: { BEDPLATE_URL: url } })
    expect({ code, err, out: out.split('\n') }).toEqual({
      code: 0, err: '', out: [
        `Rack:   at ${url}; the whole is told by a region: "bedplate status --url http://<region>:5240"`, 'Ready:  yes', '',
        'Does not run as it should', '  core/rack-links  degraded  no link to 1 of 3 regions (r2: connect ECONNREFUSED); the others do their work', ''
      ]
    })
  }))

  it('is no answer where neither a region nor a rack answers', async () => {
    const { code, err } = await run('status', { env: { BEDPLATE_URL: 'http://127.0.0.9:1' } })
    expect([code, err]).toEqual([1, expect.stringContaining('No answer from http://127.0.0.9:1')])
  })
})

describe('machines', () => {
  it('in a state that must not last tell how long they may', async () => {
    expect(await see('machine list')).toMatch(/^probing +Commissioning .* fails in 20 min unless it gets on$/m)
    expect(await see('machine show probing')).toMatch(/^Reason: +fails in 20 min unless it gets on$/m)
    expect((await bench.bedplate('machine list --status Broken')).err).toBe('No machine is Broken.\n')
  })

  it('are shown whole: hardware, addresses, disks, host keys, what happened', async () => {
    const mac = '52:54:00:00:01:03'
    const found = readInventory(uploadOf(mac))
    if ('problem' in found) throw new Error(found.problem)
    const { db } = bench.daemon.kernel
    const { id } = await bench.json('machine show ready')
    await db!.query('update machines.machine set inventory = $2, host_keys = $3 where id = $1', [id, JSON.stringify(found.inventory), JSON.stringify(['ssh-ed25519 AAAA root@ready'])])
    await db!.query(`insert into network.address (address, subnet_id, kind, mac, owner) select '10.0.0.99', id, 'auto', $2, $1 from network.subnet limit 1`, [id, mac])
    const out = await see('machine show ready')
    expect(out).toMatch(/^Hardware: +Dell Inc\. PowerEdge R630 \(ABC1234\)\nCPU: +8 × Intel\(R\) Xeon.*\nMemory: +1\.9 GiB$/m)
    expect(out).toMatch(/^Interfaces\n {2}\S+ {2}52:54:00:00:01:03 {2}\S+ {2}10\.0\.0\.99 {2}boots$/m)
    expect(out).toMatch(/^Disks\n {2}vda {2}6\.0 GiB {2}-$/m)
    expect(out).toMatch(/^Host keys\n {2}ssh-ed25519 AAAA root@ready$/m)
    expect(out).toMatch(/^Events\n( {2}\d+ s ago +(info|warning) +.*\n)+$/m)
    expect(await bench.json('machine show ready')).toMatchObject({ hostname: 'ready', addresses: ['10.0.0.99'], hostKeys: ['ssh-ed25519 AAAA root@ready'] })
  })
})

it('times are told to the unit that matters', () => {
  const now = Date.parse('2030-01-01T00:00:00Z')
  const at = (seconds: number) => ago(new Date(now + seconds * 1000).toISOString(), now)
  expect([-1, -99, -100, -5999, -7200, -172_799, -172_800, 90, 1200].map(at)).toEqual(['1 s ago', '99 s ago', '2 min ago', '100 min ago', '2 h ago', '48 h ago', '2 days ago', 'in 90 s', 'in 20 min'])
  expect(ago('never')).toBe('never')
})
