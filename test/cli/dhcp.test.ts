/** `bedplate dhcp …` against a real region: what people see, what programs get, and what is said when it cannot be. */
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import boot from '../../plugins/boot/index.ts'
import provision from '../../plugins/provision/index.ts'
import { openBench } from './cli.kit.ts'
import type { Bench } from './cli.kit.ts'
import { commands, read } from './documents.ts'

let bench: Bench
let home: string
beforeAll(async () => {
  bench = await openBench()
  home = await mkdtemp(join(tmpdir(), 'dhcp-'))
  await ok('subnet create 10.0.0.0/24 --gateway 10.0.0.1 --name office')
  await ok('range create 10.0.0.100 10.0.0.120 --subnet office')
  const { db } = bench.daemon.kernel
  await db!.query(`insert into network.rack_interface values ('rack-1', 'eth0', '52:54:00:00:00:01', true)`)
  await db!.query(`insert into network.rack_address values ('rack-1', 'eth0', '10.0.0.3', 24)`)
})
afterAll(async () => { await bench.close(); await rm(home, { recursive: true, force: true }) })

/** The command succeeds; gives what it printed. */
async function ok (line: string | readonly string[]): Promise<string> {
  const { code, out, err } = await bench.bedplate(line)
  expect({ line, code, err }).toEqual({ line, code: 0, err: '' })
  return out
}
const fails = async (line: string | readonly string[]): Promise<string> => {
  const { code, out, err } = await bench.bedplate(line)
  expect([code, out]).toEqual([1, ''])
  return err.trim()
}
const none = async (line: string): Promise<string> => {
  const { code, out, err } = await bench.bedplate(line)
  expect([code, out]).toEqual([0, ''])
  return err.trim()
}

describe('dhcp vlan', () => {
  it('lists, serves and leaves alone', async () => {
    expect(await ok('dhcp vlan list')).toBe('VLAN      ID  DHCP  IPV4    IPV6  RACKS\nuntagged  1   off   server  off   -\n')
    expect(await ok('dhcp vlan enable 10.0.0.0/24')).toBe('DHCP is on for VLAN untagged (IPv4: server, IPv6: off), served by rack-1.\n')
    expect(await ok('dhcp vlan enable untagged --mode proxy')).toContain('(IPv4: proxy, IPv6: off)')
    expect(await ok('dhcp vlan list')).toContain('untagged  1   on    proxy  off   rack-1\n')
    expect(await fails('dhcp vlan enable untagged --v6 stateful')).toBe('bedplate: Stateful DHCPv6 on VLAN untagged (1) needs an IPv6 subnet there with a dynamic range to give addresses from. Add one first. [NETWORK_INVALID]')
    expect(await ok('dhcp vlan disable untagged')).toBe('DHCP is off for VLAN untagged.\n')
    expect(await bench.json('dhcp vlan enable 10.0.0.0/24 --mode server')).toMatchObject({ enabled: true, mode: 'server' })
  })
})

describe('dhcp subnet', () => {
  it('sets what is said and leaves the rest', async () => {
    await ok('dhcp subnet set office --lease 3600 --domain lab.example --search a.example b.example')
    await ok('dhcp subnet set office --ntp 10.0.0.7 --firmware-lease 60')
    expect(await ok('dhcp subnet list')).toBe('SUBNET       LEASE  FIRMWARE  DOMAIN       SEARCH                NTP\n10.0.0.0/24  3600   60        lab.example  a.example, b.example  10.0.0.7\n')
    await ok('dhcp subnet set 10.0.0.0/24 --lease default --firmware-lease default --domain none --search none --ntp none')
    expect(await ok('dhcp subnet list')).toContain('10.0.0.0/24  default  default   -       -       -\n')
    expect(await fails('dhcp subnet set office --lease 60 --firmware-lease 90')).toContain('longer than the 60 s of everybody else')
    expect((await bench.bedplate('dhcp subnet set office --lease soon')).err).toContain('Write a whole number of seconds, or: default.')
  })
})

describe('dhcp option', () => {
  it('is set for everybody, a subnet or a machine, listed, and taken back', async () => {
    expect(await none('dhcp option list')).toContain('No options.')
    expect(await ok(['dhcp', 'option', 'set', 'ntp-servers', '10.0.0.7, 10.0.0.8'])).toBe('Option ntp-servers (42) is set for everybody.\n')
    expect(await ok('dhcp option set 42 10.0.0.9 --subnet office')).toBe('Option ntp-servers (42) is set for subnet 10.0.0.0/24.\n')
    expect(await ok('dhcp option set 224 5 --type u16 --mac 5254.0012.3456')).toBe('Option option-224 (224) is set for 5254.0012.3456.\n')
    expect(await ok('dhcp option list')).toBe('FOR                OPTION       CODE  VALUE               TYPE\neverybody          ntp-servers  42    10.0.0.7, 10.0.0.8  -\n52:54:00:12:34:56  option-224   224   5                   u16\n10.0.0.0/24        ntp-servers  42    10.0.0.9            -\n')
    expect(await bench.json('dhcp option list --mac 52-54-00-12-34-56')).toMatchObject([{ code: 224, data: '0005' }])
    expect(await ok('dhcp option unset ntp-servers --subnet office')).toBe('Option ntp-servers is not set for subnet 10.0.0.0/24 any more.\n')
    expect(await fails('dhcp option set dhcp-server-identifier 10.0.0.1')).toBe('bedplate: option dhcp-server-identifier: the server sets it itself. [OPTION_INVALID]')
    expect(await fails('dhcp option set routers gateway')).toContain('"gateway" is not an IPv4 address')
    expect(await ok('dhcp option names ntp-servers')).toBe('CODE  OPTION       TYPE     SET BY\n42    ntp-servers  ip-list  operators\n')
    expect(await ok('dhcp option names 54')).toContain('dhcp-server-identifier')
    expect((await bench.bedplate('dhcp option list --subnet office --mac 525400123456'))).toMatchObject({ code: 2, err: 'bedplate: Give --subnet or --mac, not both.\n' })
  })
})

describe('dhcp fixed', () => {
  it('gives an address to a client id', async () => {
    expect(await none('dhcp fixed list')).toBe('No addresses are fixed by client id.')
    expect(await ok('dhcp fixed set 10.0.0.50 --client-id 01:52:54:00:00:00:01 --hostname till')).toBe('Address 10.0.0.50 belongs to client id 01525400000001.\n')
    expect(await ok('dhcp fixed list')).toBe('ADDRESS    CLIENT ID       HOSTNAME\n10.0.0.50  01525400000001  till\n')
    expect(await fails('dhcp fixed set 10.0.0.105 --client-id aabb')).toContain('only DHCP leases come from there')
    expect(await ok('dhcp fixed unset 10.0.0.50')).toBe('Address 10.0.0.50 is free.\n')
  })
})

describe('dhcp lease', () => {
  it('is listed by what one knows of it, remembered, and taken back', async () => {
    const { db } = bench.daemon.kernel
    await db!.query(`insert into dhcp.address (address, subnet_id, mac, client_id, hostname, bound_at, expires) values ('10.0.0.100', '1', '52:54:00:00:00:09', '01ff', 'till', now(), now() + interval '1 hour'), ('10.0.0.101', '1', '52:54:00:00:00:0a', null, null, now(), now() + interval '1 hour')`)
    expect(await ok('dhcp lease list --hostname till')).toMatch(/^ADDRESS {5}STATE {3}CLIENT {13}HOSTNAME {2}CLIENT ID {2}EXPIRES\n10\.0\.0\.100 {2}active {2}52:54:00:00:00:09 {2}till {6}01ff {7}in 60 min\n$/)
    expect(await bench.json('dhcp lease list --subnet office')).toMatchObject([{ address: '10.0.0.100' }, { address: '10.0.0.101' }])
    expect(await ok('dhcp lease list --state all')).toContain('10.0.0.101  active')
    expect(await none('dhcp lease list --state quarantine')).toBe('No leases that are quarantine; --state all shows the others.')
    expect(await ok('dhcp lease history 10.0.0.100')).toMatch(/52:54:00:00:00:09 {2}till {6}\S+Z {2}now\n$/)
    expect(await none('dhcp lease history 10.0.0.100 --at 2020-01-01T00:00:00Z')).toBe('Nobody is known to have had 10.0.0.100 then.')
    expect(await ok('dhcp lease release 10.0.0.100')).toBe('The claim to 10.0.0.100 is ended: it is free after its lease, unless its client asks for it again.\n')
    expect(await none('dhcp lease list --mac 52-54-00-00-00-09')).toContain('No leases')
    expect(await fails('dhcp lease release 10.0.0.99')).toBe('bedplate: There is no lease of 10.0.0.99. [NOT_FOUND]')
  })
})

describe('dhcp import', () => {
  it('says what it would take, takes it, and names the rest', async () => {
    const file = join(home, 'dhcpd.conf')
    await writeFile(file, 'option log-servers 10.0.0.7;\nhost nas { hardware ethernet 52:54:00:aa:bb:cc; fixed-address 10.0.0.80; }\nclass "x" { }\n')
    const plan = await ok(['dhcp', 'import', file, '--dry-run'])
    expect(plan).toContain('Would be taken:  2\nLeft:            1\n')
    expect(plan).toContain('line 2  address 10.0.0.80 for 52:54:00:aa:bb:cc (nas)')
    expect(plan).toContain('line 3  class "x"  what depends on the client\'s class')
    expect(await none('address list --mac 525400aabbcc')).toBe('No addresses in use.')
    expect(await ok(['dhcp', 'import', file])).toContain('Taken:  2\nLeft:   1\n')
    expect(await ok('address list --mac 525400aabbcc')).toContain('10.0.0.80')
    const snippet = join(home, 'snippet')
    await writeFile(snippet, 'option lpr-servers 10.0.0.6;\n')
    expect(await ok(['dhcp', 'import', snippet, '--subnet', 'office'])).toContain('line 1  option lpr-servers of subnet 10.0.0.0/24: 10.0.0.6')
    expect(await ok(['dhcp', 'import', snippet, '--mac', '525400aabbcc'])).toContain('option lpr-servers of mac:52:54:00:aa:bb:cc')
    await writeFile(file, 'subnet 10.9.0.0 netmask 255.255.255.0 { range 10.9.0.10 10.9.0.20; option routers 10.9.0.1; default-lease-time 900; }\n')
    expect(await ok(['dhcp', 'import', file])).toContain('line 1  subnet 10.9.0.0/24  there is no such subnet')
    const { code, out, err } = await bench.bedplate(['dhcp', 'import', file, '--add-network'])
    expect([code, err]).toEqual([0, 'Subnet 10.9.0.0/24 added.\nDynamic range 10.9.0.10 to 10.9.0.20 added.\n'])
    expect(out).toContain('Taken:  3\nLeft:   0\n')
    expect((await bench.bedplate('dhcp import /nonexistent')).code).toBe(2)
  })
})

describe('docs/guides/dhcp.md', () => {
  it('is done as it is written, in a new installation', async () => {
    const other = await openBench([provision, boot])
    try {
      const db = other.daemon.kernel.db!
      for (const [index, rack] of ['rack-a', 'rack-b'].entries()) {
        await db.query(`insert into core.controller (id, hostname, roles, version) values ($1, $1, '{rack}', '0')`, [rack])
        await db.query(`insert into network.rack_interface values ($1, 'eth0', '52:54:00:00:00:01', true)`, [rack])
        await db.query(`insert into network.rack_address values ($1, 'eth0', $2, 24)`, [rack, `10.0.0.${index + 3}`])
      }
      const file = join(home, 'guide.conf')
      await writeFile(file, 'option log-servers 10.0.0.7;\n')
      await db.query(`insert into dhcp.address (address, subnet_id, mac, bound_at, expires) values ('10.0.0.101', '1', '52:54:00:00:00:0a', now(), now() + interval '1 hour')`)
      const lines = commands(read('docs/guides/dhcp.md'))
      expect(lines.length).toBeGreaterThan(20)
      for (const line of lines) {
        const { code, err } = await other.bedplate(line.map(word => word === '/etc/dhcp/dhcpd.conf' ? file : word))
        expect({ line, code, err: code === 0 ? '' : err }).toEqual({ line, code: 0, err: '' })
      }
    } finally { await other.close() }
  })
})

describe('dhcp rogues', () => {
  it('shows who is heard, and with --all who was', async () => {
    expect(await none('dhcp rogues')).toBe('No foreign DHCP server is heard; --all shows those that were.')
    expect(await none('dhcp rogues --all --vlan untagged')).toBe('No foreign DHCP server was ever heard.')
    await bench.daemon.kernel.db!.query(`insert into dhcp.rogue values ('1', '192.168.77.1', '02:00:00:00:00:66', 'rack-1', now() - interval '2 days', now()), ('1', '10.0.0.66', '02:00:00:00:00:67', 'rack-1', now() - interval '2 days', now() - interval '1 day')`)
    expect(await ok('dhcp rogues')).toMatch(/^VLAN +ADDRESS +MAC +HEARD BY +FIRST +LAST\n1 +192\.168\.77\.1 +02:00:00:00:00:66 +rack-1 +2 days ago +\d s ago\n$/)
    expect((await ok('dhcp rogues --all')).split('\n').length).toBe(4)
  })
})
