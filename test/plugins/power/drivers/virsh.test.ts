/** virsh's pure parts: addresses, words for a shell, what libvirt and ssh say, and the order in a domain's XML. */
import { execFileSync } from 'node:child_process'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { virsh } from '../../../../plugins/power/drivers/virsh.ts'
import { bootingFrom, domainsIn, identityIn, macsIn, stateFrom } from '../../../../plugins/power/drivers/virsh/domain.ts'
import { explained } from '../../../../plugins/power/drivers/virsh/master.ts'
import { run } from '../../../../plugins/power/drivers/virsh/run.ts'
import { quoted } from '../../../../plugins/power/drivers/virsh/ssh.ts'
import { refusal } from '../../../../plugins/power/drivers/virsh/virsh.ts'
import { checked } from '../../../../plugins/power/parameters.ts'

const uuid = '6695eb01-f6a4-8304-79aa-97f2502e193f'

describe('addresses', () => {
  test.each([
    ['virsh+ssh://root@host/vm1', { address: 'virsh+ssh://host/vm1', user: 'root' }],
    ['virsh://host:22/vm1?connection=qemu:///system', { address: 'virsh+ssh://host/vm1' }],
    ['virsh+ssh://[2001:db8::1]:2222/a%20b%3F', { address: 'virsh+ssh://[2001:db8::1]:2222/a%20b%3F' }],
    ['virsh+local:///vm1?connection=qemu:///session', { address: 'virsh+local:///vm1?connection=qemu%3A%2F%2F%2Fsession' }],
    ['virsh+ssh://host', { address: 'virsh+ssh://host/' }]
  ])('%s', (address, normal) => {
    expect(checked(virsh, { address })).toEqual(normal)
    expect(checked(virsh, checked(virsh, { address }))).toEqual(normal)
  })
  test.each([
    ['virsh+ssh://root:password@host/vm1', 'only keys'], ['virsh+local://host/vm1', 'on this rack itself'], ['virsh+local://root@/vm1', 'on this rack itself'], ['virsh+tcp://host/vm1', 'it must be ssh or local'],
    ['virsh+ssh://host/a/b', 'one domain'], ['virsh+ssh://host/a%0ab', 'one domain'], ['virsh+ssh://host/vm1?connection=-x', 'not a URI'], ['virsh+ssh://host/vm1?connection=qemu:///a%0ab', 'not a URI'],
    ['virsh+ssh://host/vm1?command=x', 'unknown'], ['virsh+ssh://-oProxyCommand/vm1', 'hyphen'], ['virsh+ssh://-x@host/vm1', 'user']
  ])('%s is refused', (address, reason) => {
    expect(() => checked(virsh, { address })).toThrow(expect.objectContaining({ code: 'POWER_PARAMETERS_INVALID', message: expect.stringContaining(reason) }))
    expect(() => checked(virsh, { address })).toThrow(expect.objectContaining({ message: expect.not.stringContaining('root:password') }))
  })
  test('a host key is one line of one key', () => {
    const given = (hostKey: string) => () => checked(virsh, { address: 'virsh+ssh://host/vm1', hostKey })
    expect(given('ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ host')).not.toThrow()
    for (const wrong of ['AAAA', 'ssh-ed25519 AAAA\n* ssh-ed25519 BBBB', '@cert-authority * ssh-ed25519 AAAA']) expect(given(wrong)).toThrow(expect.objectContaining({ code: 'POWER_PARAMETERS_INVALID' }))
  })
})

test('a shell takes a quoted word as it is, whatever is in it', () => {
  const words = fc.sample(fc.string({ unit: fc.constantFrom('\'', '"', '\\', '$', '`', '\n', ' ', ';', '&', '|', '*', '~', '-', 'a', 'é', '!') }), 200)
  expect(execFileSync('sh', ['-c', `printf '%s\\0' ${words.map(quoted).join(' ')}`], { encoding: 'utf8' }).split('\0').slice(0, -1)).toEqual(words)
})

describe('what is said', () => {
  test('domains, with names of any kind', () => {
    expect([...domainsIn(`${uuid} test\n${uuid.replace('6', '7')}  two  blanks \nnonsense\n\n`)]).toEqual([[uuid, 'test'], [uuid.replace('6', '7'), ' two  blanks ']])
  })
  test.each([['running', 'on'], ['idle', 'on'], ['paused', 'on'], ['in shutdown', 'on'], ['pmsuspended', 'on'], ['crashed', 'on'], ['shut off', 'off'], ['no state', 'unknown'], ['läuft', 'unknown']])('%s is %s', (word, state) => { expect(stateFrom(`${word}\n\n`)).toBe(state) })
  test.each([
    ['root@host: Permission denied (publickey).', 'POWER_AUTHENTICATION'], ['Received disconnect from host: Too many authentication failures', 'POWER_AUTHENTICATION'],
    ['@ WARNING: REMOTE HOST IDENTIFICATION HAS CHANGED! @\nHost key verification failed.', 'POWER_REFUSED'], ['No ED25519 host key is known for bedplate and you have requested strict checking.\nHost key verification failed.', 'POWER_REFUSED'],
    ['ssh: connect to host host port 22: Connection refused', 'POWER_FAILED'], ['', 'POWER_FAILED']
  ])('ssh: %s', (stderr, code) => { expect(explained(stderr, 'host')).toMatchObject({ code }) })
  test.each([
    [127, 'env: ‘virsh’: No such file or directory', 'POWER_REFUSED'], [1, 'error: failed to connect to the hypervisor\nerror: authentication unavailable: no polkit agent available', 'POWER_AUTHENTICATION'],
    [1, 'error: Failed to connect socket to \'/var/run/libvirt/libvirt-sock\': Permission denied', 'POWER_AUTHENTICATION'], [1, 'error: Timed out during operation: cannot acquire state change lock', 'POWER_FAILED']
  ])('virsh, exit code %d: %s', (status, stderr, code) => { expect(refusal('start', status, stderr)).toMatchObject({ code }) })
})

describe('the order of boot devices', () => {
  const domain = (os: string, devices: string) => `<domain type='kvm'>
  <name>a &amp; &lt;b&gt; &#x27;</name>
  <uuid>${uuid}</uuid>
  <metadata><x:own xmlns:x="urn:x" note="it&apos;s &amp;lt; &quot;&#10;"><boot dev="none" order="1">  kept  </boot></x:own></metadata>
  <os>
    <type arch='x86_64' machine='pc'>hvm</type>${os}
    <bootmenu enable='no'/>
  </os>
  <devices>${devices}</devices>
</domain>
`
  const cdrom = (more = '') => `<disk type='file' device='cdrom'><target dev='hda'/>${more}</disk>`
  const disk = (more = '') => `<disk type='file' device='disk'><target dev='vda'/>${more}</disk>`
  const card = (mac: string, more = '') => `<interface type='network'><mac address='${mac}'/>${more}</interface>`
  const orders = (xml: string) => [...xml.slice(xml.indexOf('<devices>')).matchAll(/<(?:target dev|mac address)="([^"]+)"\/>|<boot order="(\d+)"([^>]*)\/>/g)].map(match => match[1] ?? Number(match[2]))
  const devs = (xml: string) => [...xml.slice(xml.indexOf('<os>')).matchAll(/<boot dev="(\w+)"\/>/g)].map(match => match[1])
  const three = cdrom() + disk() + card('52:54:00:00:00:01')

  test.each([
    ['<boot dev=\'hd\'/>', 'network', ['network', 'hd']], ['<boot dev=\'cdrom\'/><boot dev=\'network\'/><boot dev=\'hd\'/>', 'network', ['network', 'cdrom', 'hd']],
    ['<boot dev=\'network\'/>', 'disk', ['hd', 'network']], ['', 'network', ['network']], ['<boot dev=\'hd\'/><boot dev=\'network\'/>', 'disk', ['hd', 'network']]
  ] as const)('in os: %s, %s first', (os, boot, after) => { expect(devs(bootingFrom(domain(os, three), boot))).toEqual(after) })

  test('on the devices: the one asked for is first, the others follow in their order', () => {
    const xml = domain('', cdrom('<boot order=\'1\'/>') + disk('<boot order=\'7\' loadparm=\'x\'/>') + card('52:54:00:00:00:01') + card('52:54:00:00:00:02', '<boot order=\'9\'/>'))
    expect(orders(bootingFrom(xml, 'network'))).toEqual(['hda', 2, 'vda', 3, '52:54:00:00:00:01', '52:54:00:00:00:02', 1])
    expect(orders(bootingFrom(xml, 'disk'))).toEqual(['hda', 2, 'vda', 1, '52:54:00:00:00:01', '52:54:00:00:00:02', 3])
    expect(bootingFrom(xml, 'disk')).toContain('loadparm="x"')
    expect(bootingFrom(domain('', disk('<boot order=\'1\'/>') + card('52:54:00:00:00:01')), 'network')).toMatch(/<interface type="network"><boot order="1"\/>/)
  })

  test.each([['network', cdrom() + disk()], ['disk', cdrom() + card('52:54:00:00:00:01')]] as const)('without such a device (%s) there is nothing to boot from', (boot, devices) => {
    expect(() => bootingFrom(domain('', devices), boot)).toThrow(expect.objectContaining({ code: 'POWER_PARAMETERS_INVALID' }))
  })
  test('a kernel the hypervisor loads goes before every device', () => { expect(() => bootingFrom(domain('<kernel>/vmlinuz</kernel>', three), 'network')).toThrow(expect.objectContaining({ code: 'POWER_PARAMETERS_INVALID', message: expect.stringContaining('kernel') })) })

  test('all the rest stays as it is, to the last blank and entity', () => {
    const xml = domain('<boot dev=\'network\'/>', three)
    expect(bootingFrom(xml, 'network')).toBe(xml.replaceAll(/ (\w+)='([^']*)'/g, ' $1="$2"').trimEnd())
  })

  test('what is no domain is an error with a code, and declares nothing', () => {
    for (const wrong of ['', 'error:', '<html/>', '<domain>', '<!DOCTYPE d [<!ENTITY a "b">]><domain><os/></domain>']) expect(() => bootingFrom(wrong, 'network'), wrong).toThrow(expect.objectContaining({ code: expect.stringMatching(/^POWER_/) }))
  })

  test('its cards, and what it says of itself', () => {
    expect(macsIn(domain('', three + card('52:54:00:AB:CD:EF')))).toEqual(['52:54:00:00:00:01', '52:54:00:ab:cd:ef'])
    expect(identityIn(domain('', three))).toEqual({ uuid, manufacturer: null, model: null, serial: null, bmcVersion: null })
  })
})

test('a program that takes too long is gone in time, and so is what a shell began for it', async () => {
  await expect(run('sh', ['-c', 'cat | "$@"', 'sh', 'sleep', '600'], { input: '<domain/>', limit: 50 })).rejects.toMatchObject({ code: 'POWER_FAILED', message: expect.stringContaining('within 0.05 s') })
})
