/** virsh, against Debian's libvirtd through a real sshd: the conformance suite on libvirt's test driver, and virtual machines of QEMU. */
import { spawn } from 'node:child_process'
import { readdirSync, readFileSync } from 'node:fs'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test, vi } from 'vitest'
import { systemClock } from '../../../../core/clock.ts'
import type { Options } from '../../../../plugins/power/driver.ts'
import { virsh } from '../../../../plugins/power/drivers/virsh.ts'
import { createKept } from '../../../../plugins/power/kept.ts'
import { checked } from '../../../../plugins/power/parameters.ts'
import { powerDriverConformance, quickPace, type Subject } from '../../../kit/conformance/power-driver.ts'
import { requirePrograms } from '../../../kit/network.ts'
import { startRelay } from '../../../kit/relay.ts'
import { onceEvent, until } from '../../../kit/wait.ts'
import { startHost, type Host } from './virsh.host.ts'

requirePrograms({ libvirtd: 'libvirt-daemon', virsh: 'libvirt-clients', sshd: 'openssh-server', ssh: 'openssh-client', 'qemu-system-x86_64': 'qemu-system-x86' })
const pace = { ...quickPace, request: 3_000, settle: 500, shutdown: 1_000 } // every look is a session of SSH and a virsh
const uuid = '6695eb01-f6a4-8304-79aa-97f2502e193f' // the test driver's one domain

let host: Host
beforeAll(async () => { host = await startHost() })
afterAll(async () => { await host.close() })

const addressOf = (port: number, domain: string, connection: string) => `virsh+ssh://root@127.0.0.1:${port}/${encodeURIComponent(domain)}?connection=${encodeURIComponent(connection)}`

powerDriverConformance(virsh, async () => {
  const relay = await startRelay({ host: '127.0.0.1', port: host.port })
  const set = (state: 'on' | 'off'): void => { if ((state === 'on') !== (host.virsh(host.test, 'domstate', uuid) === 'running')) host.virsh(host.test, state === 'on' ? 'start' : 'destroy', uuid) }
  set('off')
  const before = await host.starts()
  const parameters = { address: addressOf(relay.port, 'test', host.test), key: host.key, hostKey: host.hostKey }
  return {
    parameters, pace,
    hardware: { identity: { uuid }, members: 1 },
    machine: {
      state: () => host.virsh(host.test, 'domstate', uuid) === 'running' ? 'on' : 'off',
      set,
      switches: async () => await host.starts() - before,
      bootedFrom: () => {
        const [first] = [...host.virsh(host.test, 'dumpxml', uuid).matchAll(/<boot dev='(\w+)'\/>/g)].map(match => match[1])
        const [usual] = [...host.virsh(host.test, 'dumpxml', '--inactive', uuid).matchAll(/<boot dev='(\w+)'\/>/g)].map(match => match[1])
        return first === usual ? null : first === 'network' ? 'network' : first === 'hd' ? 'disk' : null
      }
    },
    faults: {
      wrongCredentials: { ...parameters, key: host.strangersKey },
      unreachable: { ...parameters, address: addressOf(9, 'test', host.test) },
      busy: () => host.fault('busy'),
      lie: () => host.fault('lies'),
      slow: ms => { relay.delay = ms },
      loseAnswer: () => host.fault('dies')
    },
    async close () {
      for (const fault of ['busy', 'lies', 'dies'] as const) await host.fault(fault, false)
      await relay.close()
    }
  } satisfies Subject
})

describe('virsh', () => {
  let options: Options
  beforeEach(() => { options = { signal: new AbortController().signal, clock: systemClock, pace: { ...pace, request: 20_000, settle: 5_000 }, kept: createKept() } })
  afterEach(async () => { await options.kept.close() })
  const parameters = (domain: string, more = {}) => checked(virsh, { address: addressOf(host.port, domain, host.session), key: host.key, hostKey: host.hostKey, ...more })

  describe('with virtual machines of QEMU', () => {
    const name = `-c 1; "$(touch bedplate-injected)' é`
    const escaped = name.replaceAll('&', '&amp;').replaceAll('"', '&quot;').replaceAll('\'', '&apos;')
    const domain = (title: string, mac: string, id: string, boot: string, device: string) => `<domain type='qemu'><name>${title}</name><uuid>${id}</uuid><memory unit='MiB'>16</memory><os><type arch='x86_64' machine='pc'>hvm</type>${boot}<smbios mode='sysinfo'/></os>
      <sysinfo type='smbios'><system><entry name='manufacturer'>Bed &amp; Plate</entry><entry name='product'>Lab</entry><entry name='serial'>s1</entry></system></sysinfo><features><acpi/></features>
      <metadata><x:own xmlns:x="urn:x"><boot dev="none" order="9">a &lt; b</boot></x:own></metadata><devices><interface type='user'><mac address='${mac}'/><model type='virtio'/>${device}</interface></devices></domain>`
    const [first, second] = ['aaaaaaaa-0000-4000-8000-000000000001', 'aaaaaaaa-0000-4000-8000-000000000002']
    beforeAll(async () => {
      const folder = await mkdtemp(join(tmpdir(), 'bedplate-domain-'))
      try {
        await writeFile(`${folder}/1.xml`, domain(escaped, '52:54:00:AA:BB:01', first, '<boot dev=\'hd\'/>', ''))
        await writeFile(`${folder}/2.xml`, domain('1', '52:54:00:aa:bb:02', second, '', '<boot order=\'3\'/>'))
        for (const one of ['1', '2']) host.virsh(host.session, 'define', `${folder}/${one}.xml`)
      } finally { await rm(folder, { recursive: true, force: true }) }
    })
    const xml = (id: string, ...more: string[]) => host.virsh(host.session, 'dumpxml', '--security-info', ...more, id)

    test('a name made to be run as a command, and a name that is a number, are names', async () => {
      expect(await virsh.power(parameters('1'), 'on', { ...options, boot: null })).toEqual({ state: 'on' })
      expect(host.virsh(host.session, 'list', '--uuid')).toBe(second)
      expect(await virsh.power(parameters(name), 'on', { ...options, boot: null })).toEqual({ state: 'on' })
      expect(await virsh.power(parameters('1'), 'off', { ...options, boot: null })).toEqual({ state: 'off' }) // its ID is 1, or was: by now the other's may be
      expect(host.virsh(host.session, 'list', '--uuid')).toBe(first)
      expect(await virsh.power(parameters(first), 'off', { ...options, boot: null })).toEqual({ state: 'off' })
      expect(await host.injected()).toEqual([])
    })

    test('started from the network once: its definition is the same before, during and after', async () => {
      const before = xml(first, '--inactive')
      expect(await virsh.power(parameters(first), 'on', { ...options, boot: 'network' })).toEqual({ state: 'on' })
      expect(xml(first)).toMatch(/<boot dev='network'\/>\s*<boot dev='hd'\/>/)
      expect(xml(first, '--inactive')).toBe(before)
      expect(host.virsh(host.session, 'list', '--all', '--transient', '--uuid')).toBe('')
      await virsh.power(parameters(first), 'off', { ...options, boot: null })
      expect(xml(first)).toBe(before)
      await expect(virsh.power(parameters(first), 'on', { ...options, boot: 'disk' })).rejects.toMatchObject({ code: 'POWER_PARAMETERS_INVALID', message: expect.stringContaining('no disk') })
    })

    test('all machines of the host are told, with what powers them and without the key', async () => {
      const members = await virsh.members?.(parameters(''), options)
      expect(members?.map(({ name: title, uuid: id, macs }) => [title, id, macs])).toEqual(expect.arrayContaining([[name, first, ['52:54:00:aa:bb:01']], ['1', second, ['52:54:00:aa:bb:02']]]))
      expect(JSON.stringify(members)).not.toContain('PRIVATE KEY')
      const own = members?.find(member => member.uuid === second)?.parameters
      expect(await virsh.query(checked(virsh, { ...own, key: host.key }), options)).toBe('off')
    })

    test('what its firmware says of itself is told', async () => {
      expect(await virsh.identify?.(parameters(first), options)).toEqual({ uuid: first, manufacturer: 'Bed & Plate', model: 'Lab', serial: 's1', bmcVersion: null })
    })
  })

  test('the same on the rack itself, without SSH', async () => {
    const local = checked(virsh, { address: `virsh+local:///test?connection=${encodeURIComponent(host.test)}` })
    expect(virsh.endpoint?.(local)).toBeUndefined()
    expect([await virsh.power(local, 'on', { ...options, boot: 'network' }), await virsh.query(local, options), await virsh.power(local, 'shutdown', { ...options, boot: null })]).toEqual([{ state: 'on' }, 'on', { state: 'off' }])
  })

  test('a host that is not the known one gets no key offered', async () => {
    const other = host.hostKey.replace(/.{12}$/, 'AAAAAAAAAAAA')
    await expect(virsh.query(parameters('1', { hostKey: other }), options)).rejects.toMatchObject({ code: 'POWER_REFUSED', message: expect.stringContaining('is not the host that is known') })
  })

  test('a host nobody knows is refused, not learnt', async () => {
    const { hostKey: _, ...unpinned } = parameters('1')
    for (let time = 0; time < 2; time++) await expect(virsh.query(unpinned, options)).rejects.toMatchObject({ code: 'POWER_REFUSED', message: expect.stringContaining('is not the host that is known') })
  })

  test('a key that is none is for the operator', async () => {
    await expect(virsh.query(parameters('1', { key: 'hunter2' }), options)).rejects.toMatchObject({ code: 'POWER_PARAMETERS_INVALID', message: expect.not.stringContaining('hunter2') })
  })

  test('a domain there is not, and an address that names none', async () => {
    await expect(virsh.query(parameters('none'), options)).rejects.toMatchObject({ code: 'POWER_REFUSED', message: expect.stringContaining('no domain none') })
    await expect(virsh.query(parameters(''), options)).rejects.toMatchObject({ code: 'POWER_PARAMETERS_INVALID' })
  })

  test('a rack that is killed leaves no connection, no agent and no key behind', async () => {
    const program = `import { systemClock } from '${import.meta.resolve('../../../../core/clock.ts')}'
      import { virsh } from '${import.meta.resolve('../../../../plugins/power/drivers/virsh.ts')}'
      import { createKept } from '${import.meta.resolve('../../../../plugins/power/kept.ts')}'
      process.once('message', async parameters => {
        await virsh.query(parameters, { signal: new AbortController().signal, clock: systemClock, pace: ${JSON.stringify(options.pace)}, kept: createKept() })
        process.send('asked')
      })`
    const folder = await mkdtemp(join(tmpdir(), 'bedplate-killed-'))
    try {
      const rack = spawn(process.execPath, ['--input-type=module', '-e', program], { env: { ...process.env, TMPDIR: folder }, stdio: ['ignore', 'inherit', 'inherit', 'ipc'] })
      rack.send(checked(virsh, { ...parameters('test'), address: addressOf(host.port, 'test', host.test) }))
      expect(await onceEvent(rack, 'message')).toContain('asked')
      const running = () => readdirSync('/proc').filter(pid => /^\d+$/.test(pid)).filter(pid => { try { return readFileSync(`/proc/${pid}/cmdline`, 'utf8').includes(folder) } catch { return false } })
      expect(running(), 'the master alone').toHaveLength(1)
      for (const file of readdirSync(folder, { recursive: true, withFileTypes: true }).filter(one => one.isFile())) expect(readFileSync(join(file.parentPath, file.name), 'utf8')).not.toContain('PRIVATE')
      rack.kill('SIGKILL')
      await until(() => running().length === 0, { what: 'everything it started to be gone' })
    } finally { await rm(folder, { recursive: true, force: true }) }
  })

  test('one connection serves many looks, and nothing of it is left when it is closed', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'virsh-')) // others use virsh, too
    vi.stubEnv('TMPDIR', folder)
    const folders = () => readdirSync(folder).filter(one => one.startsWith('bedplate-ssh-'))
    const relay = await startRelay({ host: '127.0.0.1', port: host.port })
    try {
      const through = checked(virsh, { ...parameters('test'), address: addressOf(relay.port, 'test', host.test) })
      await Promise.all([virsh.query(through, options), virsh.query(through, options), virsh.query(through, options)])
      expect(folders()).toHaveLength(1)
      relay.refuse = 1 // a second connection would fail
      expect(await virsh.query(through, options)).toBe('off')
      await options.kept.close()
      expect(folders()).toEqual([])
    } finally {
      vi.unstubAllEnvs()
      await relay.close()
      await rm(folder, { recursive: true, force: true })
    }
  })
})
