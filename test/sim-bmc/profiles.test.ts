/** Profiles are data that fit together; the certificate is one that others' libraries take. */
import { X509Certificate } from 'node:crypto'
import { describe, expect, it } from 'vitest'
import { suiteNumbered } from '../../ipmi/ciphers.ts'
import { startBmc } from '../../sim/bmc/bmc.ts'
import { selfSigned } from '../../sim/bmc/certificate.ts'
import { profileNamed, profiles } from '../../sim/bmc/profiles.ts'
import { hardwareOf, uuidOf } from '../../sim/machine/machine.ts'
import { createNothing } from '../../sim/machine/nothing.ts'

describe.each(profiles.map(profile => [profile.name, profile] as const))('profile %s', (name, profile) => {
  it('is found by its name, and says what it rests on', () => {
    expect(profileNamed(name)).toEqual(profile)
    expect(profile.sources.length).toBeGreaterThan(0)
  })
  it('can switch on and off, boot from the network, and take a CD by URL', () => {
    expect(profile.resetTypes).toEqual(expect.arrayContaining(['On', 'ForceOff', 'GracefulShutdown']))
    expect(profile.bootTargets).toEqual(expect.arrayContaining(['None', 'Pxe', 'Hdd']))
    expect(profile.media.drives.some(({ id, types }) => types.includes('CD') && profile.media.takes?.test(id) !== false)).toBe(true)
  })
  it('offers cipher suites there are, the two that are asked for everywhere among them', () => {
    expect(profile.ipmi.suites.map(suiteNumbered)).not.toContain(undefined)
    expect(profile.ipmi.suites).toEqual(expect.arrayContaining([3, 17]))
  })
})
it('an unknown profile is refused, with those there are', () => { expect(() => profileNamed('acme')).toThrow(/acme; there are generic, dell/) })
it('several machines of a BMC have ids of their own', async () => {
  const ids = async (profile: string) => {
    const bmc = await startBmc({ profile, machines: [createNothing({ name: 'a' }), createNothing({ name: 'b' })] })
    await bmc.close()
    return bmc.model.systems.map(({ id }) => id)
  }
  expect([await ids('generic'), await ids('dell'), await ids('openbmc')]).toEqual([['1', '2'], ['System.Embedded.1', 'System.Embedded.2'], ['system1', 'system2']])
})

it.each(['127.0.0.1', '::1', '2001:db8::17:1', 'bmc.example.org'])('a certificate for %s is for that alone, and signed by itself', host => {
  const { key, cert, fingerprint } = selfSigned(host)
  const read = new X509Certificate(cert)
  expect(host.includes('example') ? read.checkHost(host) : read.checkIP(host)).toBe(host)
  expect(read.checkIP('192.0.2.1')).toBeUndefined()
  expect(read.verify(read.publicKey)).toBe(true)
  expect(read.fingerprint256.replaceAll(':', '').toLowerCase()).toBe(fingerprint)
  expect(key).toContain('PRIVATE KEY')
  expect(selfSigned(host).fingerprint).not.toBe(fingerprint)
})

describe('a machine of nothing', () => {
  it('is always the same under the same name', () => {
    expect(hardwareOf('a')).toEqual(hardwareOf('a'))
    expect(hardwareOf('a').uuid).not.toBe(hardwareOf('b').uuid)
    expect(uuidOf('a')).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-5[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/)
  })
  it('forgets a slow wish when another comes', async () => {
    const machine = createNothing({ delays: { on: 30 } })
    const on = machine.on()
    await machine.off()
    await on
    expect([machine.state(), machine.switches()]).toEqual(['off', 0])
  })
  it('tells what happens only while somebody watches', async () => {
    const machine = createNothing()
    const heard: unknown[] = []
    const end = machine.watch(happening => { heard.push(happening) })
    machine.bootOnce('cd')
    await machine.on()
    machine.insert('http://192.0.2.1/x.iso')
    machine.insert('http://192.0.2.1/x.iso')
    end()
    await machine.off()
    expect(heard).toEqual([{ event: 'next boot', device: 'cd', lasting: false, uefi: null }, { event: 'on', from: 'cd' }, { event: 'media', image: 'http://192.0.2.1/x.iso' }])
  })
})
