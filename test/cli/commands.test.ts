/** Every noun against a real region: what people see, what programs get, and what is said when it cannot be. */
import { X509Certificate } from 'node:crypto'
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { runCli } from '../../cli/program.ts'
import { until } from '../kit/wait.ts'
import { openBench, run, sink } from './cli.kit.ts'
import type { Bench } from './cli.kit.ts'
import { writeImage } from './image.kit.ts'

let bench: Bench
let home: string
beforeAll(async () => {
  bench = await openBench()
  home = await mkdtemp(join(tmpdir(), 'cli-'))
})
afterAll(async () => { await bench.close(); await rm(home, { recursive: true, force: true }) })

/** The command succeeds; gives what it printed. */
async function ok (line: string | readonly string[], env = {}): Promise<string> {
  const { code, out, err } = await bench.bedplate(line, { env })
  expect({ code, err }).toEqual({ code: 0, err: '' })
  return out
}
const fails = async (line: string): Promise<string> => {
  const { code, out, err } = await bench.bedplate(line)
  expect([code, out]).toEqual([1, ''])
  return err.trim()
}

describe('the network', () => {
  it('is built from nothing, and shown as it is', async () => {
    expect(await ok('vlan list')).toBe('ID  FABRIC    VID  NAME      MTU   DHCP\n1   fabric-0  0    untagged  1500  off\n')
    expect((await bench.bedplate('subnet list')).err).toBe('No subnets. Add one: bedplate subnet create 10.0.0.0/24 --gateway 10.0.0.1\n')
    expect(await ok('subnet create 10.0.0.0/24 --gateway 10.0.0.1 --dns 10.0.0.1 1.1.1.1 --name office')).toBe('Subnet 10.0.0.0/24 added, id 1.\n')
    expect(await ok('range create 10.0.0.100 10.0.0.120 --subnet office --comment new')).toBe('The dynamic range 10.0.0.100 to 10.0.0.120 was added, id 1.\n')
    expect(await ok('range create 10.0.0.200 10.0.0.210 --subnet 10.0.0.0/24 --kind reserved')).toBe('The reserved range 10.0.0.200 to 10.0.0.210 was added, id 2.\n')
    expect(await ok('subnet list')).toBe('ID  CIDR         NAME    VLAN      GATEWAY   DNS                DYNAMIC\n1   10.0.0.0/24  office  untagged  10.0.0.1  10.0.0.1, 1.1.1.1  10.0.0.100-10.0.0.120\n')
    expect(await ok('range list --subnet 1')).toBe('ID  SUBNET       KIND      START       END         COMMENT\n1   10.0.0.0/24  dynamic   10.0.0.100  10.0.0.120  new\n2   10.0.0.0/24  reserved  10.0.0.200  10.0.0.210  -\n')
    expect(await ok('subnet show office')).toBe('ID:           1\nCIDR:         10.0.0.0/24\nName:         office\nVLAN:         1\nGateway:      10.0.0.1\nDNS servers:  10.0.0.1, 1.1.1.1\nRange 1:      dynamic 10.0.0.100 to 10.0.0.120 (new)\nRange 2:      reserved 10.0.0.200 to 10.0.0.210\n')
    expect((await bench.bedplate('address list')).err).toBe('No addresses in use.\n')
    expect(await ok('address reserve --subnet office --mac 5254.0012.3456 --hostname printer')).toBe('Address 10.0.0.2 is set aside.\n')
    expect(await ok('address reserve 10.0.0.9 --subnet office')).toBe('Address 10.0.0.9 is set aside.\n')
    expect(await ok('address list --subnet office')).toBe('ADDRESS   SUBNET       KIND      MAC                HOSTNAME  OWNER\n10.0.0.2  10.0.0.0/24  reserved  52:54:00:12:34:56  printer   -\n10.0.0.9  10.0.0.0/24  reserved  -                  -         -\n')
    expect(await ok('address list --mac 52-54-00-12-34-56 -o yaml')).toBe('- address: 10.0.0.2\n  subnetId: "1"\n  kind: reserved\n  mac: 52:54:00:12:34:56\n  owner: null\n  hostname: printer\n')
  })

  it('refuses in the region\'s words', async () => {
    expect(await fails('subnet create 10.0.0.128/25')).toBe('bedplate: Subnet 10.0.0.128/25 overlaps subnet "office" (10.0.0.0/24). [NETWORK_INVALID]')
    expect(await fails('subnet delete office')).toBe('bedplate: Subnet 10.0.0.0/24 has 2 addresses in use, the first is 10.0.0.2 (printer). Release them first. [NETWORK_INVALID]')
    expect(await fails('range create 10.0.0.5 10.0.0.20 --subnet office')).toBe('bedplate: The dynamic range 10.0.0.5 to 10.0.0.20 would swallow 10.0.0.9, which is in use: given to nobody in particular (reserved). [NETWORK_INVALID]')
    expect(await fails('subnet show nowhere')).toBe('bedplate: There is no subnet nowhere. [NOT_FOUND]')
    expect(await fails('vlan enable-dhcp untagged')).toMatch(/^bedplate: No rack has an interface .* \[NETWORK_INVALID\]$/)
  })

  it('has fabrics and VLANs, named by id, name, or both with a slash', async () => {
    expect(await ok('fabric create lab')).toBe('Fabric lab made, id 2.\n')
    expect(await ok('vlan create 7 --fabric lab --name storage --mtu 9000')).toMatch(/^VLAN 7 made on lab, id \d+\.\n$/)
    expect(await ok('fabric list')).toBe('ID  NAME      VLANS\n1   fabric-0  1\n2   lab       2\n')
    expect(await fails('vlan show untagged')).toMatch(/^bedplate: "untagged" names 2 VLANs: 1 \(fabric-0\/untagged\), 2 \(lab\/untagged\)\. Use the id\.$/)
    expect(await ok('vlan show lab/7')).toContain('Name:         storage\nFabric:       lab\nVLAN number:  7\nMTU:          9000\nDHCP:         off\n')
    expect((await bench.bedplate('subnet create 10.7.0.0/24'))).toMatchObject({ code: 2, err: 'bedplate: There are 3 VLANs: say which with --vlan.\n' })
    expect(await ok('subnet create 10.7.0.0/24 --vlan lab/storage')).toMatch(/^Subnet 10\.7\.0\.0\/24 added/)
    expect(await fails('vlan delete storage')).toContain('still has subnet 10.7.0.0/24')
    expect(await ok('subnet delete 10.7.0.0/24')).toBe('Subnet 10.7.0.0/24 deleted.\n')
    expect(await ok('vlan delete storage')).toBe('VLAN storage deleted.\n')
    expect(await ok('fabric delete lab')).toBe('Fabric lab deleted.\n')
  })

  it('serves DHCP where a rack is', async () => {
    const { db } = bench.daemon.kernel
    await db!.query(`insert into network.rack_interface values ('rack-1', 'eth0', '52:54:00:00:00:01', true)`)
    await db!.query(`insert into network.rack_address values ('rack-1', 'eth0', '10.0.0.3', 24)`)
    expect(await ok('vlan enable-dhcp untagged')).toBe('DHCP is on for VLAN untagged, served by rack-1.\n')
    expect(await ok('vlan list')).toContain('on: rack-1')
    expect(await fails('vlan enable-dhcp untagged --rack rack-9')).toContain('rack-9')
    expect(await ok('vlan disable-dhcp 1')).toBe('DHCP is off for VLAN untagged.\n')
    expect(await bench.json('vlan show 1')).toMatchObject({ dhcp: { enabled: false } })
  })

  it('gives back what is deleted', async () => {
    expect(await ok('range delete 10.0.0.200')).toBe('The reserved range 10.0.0.200 to 10.0.0.210 was deleted.\n')
    expect(await ok('address release 10.0.0.9')).toBe('Address 10.0.0.9 is free.\n')
    expect(await fails('address release 10.0.0.9')).toBe('bedplate: There is no address 10.0.0.9. [NOT_FOUND]')
  })
})

describe('tokens and controllers', () => {
  it('a token is printed alone, works, and is revoked', async () => {
    const token = (await ok('token create ci --scope read --expires 30d')).trim()
    expect(token).toMatch(/^bpt_[\w-]{43}$/)
    const { out } = await bench.bedplate('token whoami', { env: { BEDPLATE_TOKEN: token } })
    expect(out).toMatch(/^Name: {4}admin\/ci\nToken: {3}\d+\nScopes: {2}read\n$/)
    expect((await bench.bedplate('fabric create x', { env: { BEDPLATE_TOKEN: token } })).err).toBe('bedplate: The token "admin/ci" may not do this: it lacks the scope "write". [FORBIDDEN]\n')
    const [first, ci] = (await ok('token list')).split('\n').slice(1)
    expect(first).toMatch(/^1 +first +bpt_\S{6} +read, write, admin +\S+Z +never +\S+Z$/)
    expect(ci).toMatch(/^2 +ci +bpt_\S{6} +read +\S+Z +\S+Z +\S+Z$/)
    expect(await ok(`token revoke ${token.slice(0, 10)}`)).toBe('Token ci is revoked.\n')
    await until(async () => (await bench.bedplate('token whoami', { env: { BEDPLATE_TOKEN: token } })).err.includes('UNAUTHENTICATED'))
    expect(await fails('token revoke first')).toContain('is the last one that can administer')
  })

  it('a controller enrols with a token, printed alone', async () => {
    const { code, out, err } = await bench.bedplate('controller token --expires 2h')
    expect([code, out.trim().split('\n').length]).toEqual([0, 1])
    expect(err).toMatch(/^It works once, until \S+Z\. On the new host, as root: bedplate join <this host> --token <token>\n$/)
    expect(await bench.json('controller token --role region rack')).toEqual({ token: expect.any(String), expiresAt: expect.any(String) })
    const region = await until(async () => (await ok('controller list')).split('\n').find(line => / running /.test(line)), { what: 'the region to run in the list' })
    expect((await ok('controller list')).split('\n')[0]).toMatch(/^ID +HOSTNAME +ROLES +VERSION +STATE +LINK +SEEN +WHY$/)
    expect(region).toMatch(/ region-1 +region +0\.1\.0 +running +up +\d+ s ago +-$/)
    expect(await ok('controller show region-1')).toMatch(/^ID: +\S+\nHostname: +region-1\n[^]*\nState: +running\nWhy: +-\n[^]*\nServices \(more: bedplate service list --controller region-1\)\n {2}running {2}\d+\n/)
  })

  it('the authority\'s certificate is shown as what other programs read', async () => {
    const shown = await ok('ca show')
    expect(new X509Certificate(shown)).toMatchObject({ ca: true, subject: 'CN=Bedplate authority' })
    expect(await bench.json('ca show')).toEqual({ certificate: shown, sha256: expect.stringMatching(/^[0-9a-f]{64}$/), validTo: expect.any(String) })
  })

  it('a controller is removed by another region only, and as admin', async () => {
    expect(await fails('controller remove region-1')).toMatch(/^bedplate: region-1 is the region that answers\. Run "bedplate leave" on it/)
    expect(await fails('controller remove nobody')).toContain('There is no controller nobody')
    await bench.daemon.kernel.db?.query("insert into core.controller (id, hostname, roles, version, last_seen_at) values ('r-9', 'rack-9', '{rack}', '0.1.0', now() - interval '1 hour')")
    expect(await ok('controller show rack-9')).toMatch(/^ID: +r-9\nHostname: +rack-9\n/)
    const { token } = await bench.json<{ token: string }>('token create writer --scope read write')
    expect((await bench.bedplate('controller remove rack-9', { env: { BEDPLATE_TOKEN: token } })).err).toContain('lacks the scope "admin"')
    expect(await ok('controller remove rack-9')).toBe('Controller rack-9 (r-9) is removed.\n')
    expect(await fails('controller show rack-9')).toContain('[NOT_FOUND]')
  })

  it('the services are listed with why, what is wrong first, and what became of them', async () => {
    const [heading, ...rows] = (await ok('service list --controller region-1')).trim().split('\n')
    expect(heading).toMatch(/^CONTROLLER +SERVICE +ROLE +STATE +SINCE +RESTARTS +WHY$/)
    expect(rows.find(row => row.includes('machines/deadlines'))).toMatch(/^region-1 +machines\/deadlines +region +running +\d+ s ago +0 +-$/)
    expect(await bench.json('service list --plugin tracking --state running')).toHaveLength(3)
    expect((await bench.bedplate('service list --state dead')).err).toBe('No such services.\n')
    expect(await fails('service list --controller nobody')).toBe('bedplate: There is no controller nobody. [NOT_FOUND]')
    expect((await bench.bedplate('service list --state broken')).code).toBe(2)
    expect((await bench.bedplate('service history --limit 0')).code).toBe(2)
    const history = (await ok('service history --service machines/deadlines')).trim().split('\n')
    expect(history[0]).toMatch(/^AT +CONTROLLER +SERVICE +STATE +WHY$/)
    expect(history[1]).toMatch(/^\S+Z +region-1 +machines\/deadlines +running +-$/)
    expect(await bench.json('service history --limit 1')).toHaveLength(1)
  })

  it('the status tells how the region is', async () => {
    const out = await ok('status')
    expect(out).toMatch(/^Region: +region-1 \(\S+\), region, version \S+\nReady: +yes\nLeader: +this region, term 1\nRacks: +-\nMachines: +none\n/)
    expect(await bench.json('status')).toMatchObject({ ready: true, controller: { hostname: 'region-1' } })
  })
})

describe('machines', () => {
  beforeAll(async () => { await ok('machine create --mac 52-54-00-00-00-11 525400000012 --hostname one') })

  it('are registered, listed, renamed, shown and forgotten', async () => {
    expect(await ok('machine create --mac 52:54:00:00:00:21 --hostname two')).toMatch(/^Machine two is registered, id \S+\.\n$/)
    expect(await ok('machine rename two drei')).toBe('Machine two is now drei.\n')
    const list = (await ok('machine list')).split('\n')
    expect(list[0]).toMatch(/^HOSTNAME +STATUS +SINCE +POWER +ARCH +CPUS +MEMORY +DISKS +MAC +ID +REASON$/)
    expect(list.find(line => line.includes('drei'))).toMatch(/^drei +New +\d+ s ago +unknown +amd64 +- +- +- +52:54:00:00:00:21 +\S+ +-$/)
    expect(await ok('machine show drei')).toMatch(/^Hostname: +drei\nID: +\S+\nStatus: +New, since \d+ s ago\nPower: +unknown, by hand\n[^]*\nInterfaces\n {2}- {2}52:54:00:00:00:21 {2}- {2}- {2}boots\n\nEvents\n/)
    expect(await bench.json('machine show drei')).toMatchObject({ hostname: 'drei', addresses: [] })
    expect(await bench.json('machine list --status Deployed')).toEqual([])
    expect(await ok('machine delete drei')).toBe('Machine drei is forgotten.\n')
    expect(await fails('machine show drei')).toBe('bedplate: There is no machine drei. [NOT_FOUND]')
  })

  it('are powered by a driver', async () => {
    expect(await ok('machine set-power one --driver manual')).toBe('Machine one is powered by manual.\n')
    expect(await ok('machine power on one --boot network')).toBe('Power on of one is asked for.\n')
    expect(await ok('machine power cancel one')).toMatch(/^(What was under way for one is called off|Nothing waits or runs for one)\.\n$/) // by hand it is done in a moment
    expect(await ok('machine power cancel one')).toBe('Nothing waits or runs for one.\n')
    expect(await fails('machine set-power one --driver telepathy')).toMatch(/POWER_PARAMETERS_INVALID|NOT_FOUND|POWER_UNSUPPORTED/)
    expect(await ok('machine events one')).toMatch(/^AT +LEVEL +TYPE +MESSAGE\n[^]*Power on asked for/)
  })

  it('go through their states, with what happens told meanwhile', async () => {
    const commission = bench.bedplate('machine commission one --wait')
    await until(async () => (await bench.json('machine show one')).status === 'Commissioning')
    await bench.machine('one', 'commissioned')
    const { code, out, err } = await commission
    expect([code, out]).toEqual([0, 'Machine one is Ready.\n'])
    expect(err).toMatch(/^\[0 s\] one is Commissioning\n/)
    expect(err).toMatch(/\[\d+ s\] one is Ready\n/)
    expect(await ok('machine allocate one')).toBe('Machine one is Allocated.\n')
    expect(await fails('machine commission one')).toMatch(/TRANSITION_INVALID\]$/)
    expect(await ok('machine release one')).toBe('Machine one is Ready.\n')
    expect(await ok('machine mark-broken one')).toBe('Machine one is Broken.\n')
    expect(await ok('machine mark-fixed one -o json')).toContain('"hostname": "one"')
  })

  it('fail with the reason when they do not get where they should', async () => {
    const commission = bench.bedplate('machine commission one --wait')
    await until(async () => (await bench.json('machine show one')).status === 'Commissioning')
    await bench.machine('one', 'failed', { reason: 'the disk has gone' })
    const { code, out, err } = await commission
    expect([code, out]).toEqual([1, ''])
    expect(err.trim().split('\n').at(-1)).toMatch(/^bedplate: Machine one is Failed commissioning, not Ready: .*the disk has gone.* \[NOT_REACHED\]$/)
  })

  it('are waited for until interrupted', async () => {
    const interrupt = new AbortController()
    const commission = bench.bedplate('machine commission one --wait', { signal: interrupt.signal })
    await until(async () => (await bench.json('machine show one')).status === 'Commissioning')
    interrupt.abort()
    expect(await commission).toMatchObject({ code: 1, err: expect.stringMatching(/bedplate: Interrupted\.\n$/) })
    await bench.machine('one', 'commissioned')
  })
})

describe('deployment', () => {
  let image: string
  beforeAll(async () => {
    image = join(home, 'image')
    await writeImage(image)
    await ok('machine create --mac 525400000031 --hostname web')
    await bench.machine('web', 'commission')
    await bench.machine('web', 'commissioned')
  })

  it('needs an image, which is imported once and sent once', async () => {
    const first = await bench.bedplate(['image', 'import', image])
    expect(first).toMatchObject({ code: 0, out: expect.stringMatching(/^Image debian-13 is imported, id \S+\.\n$/) })
    expect(first.err).toBe('read vmlinuz: 4.0 KiB of 4.0 KiB\nupload vmlinuz: 4.0 KiB of 4.0 KiB\nread initrd.img: 2.0 KiB of 2.0 KiB\nupload initrd.img: 2.0 KiB of 2.0 KiB\nread root.squashfs: 5.0 MiB of 5.0 MiB\nupload root.squashfs: 5.0 MiB of 5.0 MiB\n')
    const again = await bench.bedplate(['image', 'import', image])
    expect(again.err).toContain('read vmlinuz: 4.0 KiB of 4.0 KiB\nvmlinuz is there already\n')
    const list = (await ok('image list')).split('\n')
    expect(list[0]).toMatch(/^ID +NAME +TITLE +ARCH +SIZE +CREATED +RACKS$/)
    expect(list[1]).toMatch(/ debian-13 +Debian 13 +amd64 +5\.0 MiB +\S+Z +0$/)
    expect(await ok('image show debian-13')).toMatch(/^ID: [^]*\nroot: +[0-9a-f]{64} 5\.0 MiB\n$/)
    expect(await ok('image delete debian-13')).toMatch(/^Image debian-13 \(\S+\) is deleted\.\n$/)
  })

  it('says what is wrong with an image before anything is sent', async () => {
    const folder = join(home, 'wrong')
    await mkdir(folder)
    expect((await bench.bedplate(['image', 'import', folder])).err).toContain('There is no image.json in')
    await writeFile(join(folder, 'image.json'), '{"name":"x"}')
    expect((await bench.bedplate(['image', 'import', folder])).err).toMatch(/^bedplate: The image cannot be imported: in image\.json .*"kernel" is missing.*\[IMAGE_INVALID\]\n$/)
    expect((await bench.bedplate('image import /nonexistent')).err).toMatch(/^bedplate: \/nonexistent cannot be read: ENOENT/)
  })

  it('brings in the texts that an image has for boot loaders, or says what is wrong with them before anything is sent', async () => {
    const folder = join(home, 'own')
    await writeImage(folder, 'own', { templates: { ipxe: 'boot.ipxe', pxelinux: 'boot.cfg' } })
    const [ipxe, pxelinux] = ['#!ipxe\nkernel {{base}}{{kernel}}\n', 'SAY\t{{title}}\n']
    await writeFile(join(folder, 'boot.ipxe'), ipxe)
    expect(await bench.bedplate(['image', 'import', folder])).toMatchObject({ code: 1, err: expect.stringContaining('the file "boot.cfg" (templates.pxelinux) is missing') })
    for (const [content, why] of [[Buffer.from('SAY \xff', 'latin1'), 'boot.cfg (templates.pxelinux) is not printable ASCII in line 1'], [Buffer.alloc(5 * 2 ** 20, 'x'), 'boot.cfg (templates.pxelinux) is longer than 16384 bytes'], [Buffer.alloc(0), 'is empty']] as const) {
      await writeFile(join(folder, 'boot.cfg'), content)
      const refused = await bench.bedplate(['image', 'import', folder])
      expect(refused).toMatchObject({ code: 1, err: expect.stringMatching(/^bedplate: The image cannot be imported: [^\n]* \[IMAGE_INVALID\]\n$/) })
      expect(refused.err).toContain(why)
    }
    await writeFile(join(folder, 'boot.cfg'), pxelinux)
    expect((await bench.bedplate(['image', 'import', folder])).code).toBe(0)
    expect((await bench.json('image show own')).templates).toEqual({ ipxe, pxelinux })
    expect(await ok('image show own')).toMatch(/^Templates: +ipxe, pxelinux$/m)
    await ok('image delete own')
  })

  it('takes the keys of the user, and tells when there are none', async () => {
    const key = 'ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ user@host'
    await mkdir(join(home, '.ssh'))
    await writeFile(join(home, '.ssh', 'id_ed25519.pub'), `# mine\n${key}\n\n`)
    await writeFile(join(home, '.ssh', 'id_ed25519'), '-----BEGIN OPENSSH PRIVATE KEY-----')
    const deploying = bench.bedplate('machine deploy web --image debian-13 --hostname shop --wait', { env: { HOME: home } })
    await until(async () => (await bench.json('machine list')).find((machine: { hostname: string, status: string }) => machine.hostname === 'shop')?.status === 'Deploying')
    await bench.machine('shop', 'installed')
    await bench.machine('shop', 'deployed')
    expect(await deploying).toMatchObject({ code: 0, out: 'Machine shop is Deployed.\n', err: expect.stringMatching(/shop is Deploying\n[^]*shop is Deployed\n/) })
    expect(await bench.json('machine show shop')).toMatchObject({ deployment: { sshKeys: [key] } })
    await bench.machine('shop', 'release')
    await bench.machine('shop', 'released')
    const without = await bench.bedplate('machine deploy shop --image debian-13', { env: { HOME: '/nonexistent' } })
    expect([without.code, without.err]).toEqual([0, 'No SSH key was found or given: nobody will be able to log in. --ssh-key <file> names one.\n'])
    expect(await bench.bedplate(['machine', 'deploy', 'shop', '--image', 'x', '--ssh-key', join(home, '.ssh', 'id_ed25519')])).toMatchObject({ code: 2, err: expect.stringContaining('is a private key') })
    expect(await bench.bedplate('machine deploy shop --image x --user-data /nonexistent')).toMatchObject({ code: 2, err: expect.stringContaining('cannot be read') })
  })
})

describe('events', () => {
  it('are followed as they happen, each once', async () => {
    const [stdout, stderr] = [sink(), sink()]
    const following = runCli(['events', '--follow', '--topic', 'network.vlan', '--count', '2'], bench.env, { stdout, stderr })
    await until(async () => { // the stream stands when the first change comes through
      await run('fabric create passing', { env: bench.env })
      await run('fabric delete passing', { env: bench.env })
      return stdout.text.split('\n').length > 2
    }, { timeout: 10_000 })
    expect(await following).toBe(0)
    expect(stdout.text).toMatch(/^network\.vlan \d+\nnetwork\.vlan \d+\n$/)
  })

  it('end with a reason when interrupted', async () => {
    const interrupt = new AbortController()
    const following = bench.bedplate('events --follow -o json', { signal: interrupt.signal })
    interrupt.abort()
    expect(await following).toMatchObject({ code: 1, err: 'bedplate: Interrupted.\n' })
  })
})
