/** Others' IPMI clients, ipmitool and FreeIPMI, understand the simulated BMC, and it them. */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { startBmc, type Bmc, type BmcOptions } from '../../sim/bmc/bmc.ts'
import { judges, ran, type Ran } from './programs.ts'

let home = ''
beforeAll(async () => { await judges(); home = await mkdtemp(join(tmpdir(), 'bedplate-ipmi-')) })
afterAll(async () => { await rm(home, { recursive: true }) })
const open: Bmc[] = []
afterEach(async () => { for (const bmc of open.splice(0)) await bmc.close() })
async function start (options: BmcOptions = {}): Promise<Bmc> {
  const bmc = await startBmc({ ipmi: {}, ...options })
  open.push(bmc)
  return bmc
}
const ipmitool = (bmc: Bmc, line: string, how = '-I lanplus'): Promise<Ran> => ran('ipmitool', ['-H', bmc.host, '-p', String(bmc.ipmi?.port), '-U', 'admin', '-P', 'password', '-R', '1', ...how.split(' '), ...line.split(' ')], { home })
const said = async (bmc: Bmc, line: string, how?: string): Promise<string> => { const { code, out, err } = await ipmitool(bmc, line, how); expect(code, `${line}: ${err}`).toBe(0); return out }
const freeipmi = async (bmc: Bmc, program: string, ...args: string[]): Promise<string> => { const { code, out, err } = await ran(program, ['-h', `${bmc.host}:${bmc.ipmi?.port}`, '-u', 'admin', '-p', 'password', ...args], { home }); expect(code, `${program}: ${err}`).toBe(0); return out }

describe('ipmitool', () => {
  it.each(['-I lanplus', ...[1, 2, 3, 15, 16, 17].map(suite => `-I lanplus -C ${suite}`), '-I lan', '-I lan -A PASSWORD'])('switches the machine by %s', async how => {
    const bmc = await start()
    expect(await said(bmc, 'chassis power status', how)).toBe('Chassis Power is off\n')
    expect(await said(bmc, 'chassis power on', how)).toBe('Chassis Power Control: Up/On\n')
    expect(await said(bmc, 'chassis power status', how)).toBe('Chassis Power is on\n')
    expect(await said(bmc, 'chassis power soft', how)).toBe('Chassis Power Control: Soft\n')
    expect(bmc.machine.state()).toBe('off')
    expect(bmc.machine.switches()).toBe(2)
    expect(bmc.ipmi?.sessions.size, 'it has logged out').toBe(0)
  })
  it('has it boot from the network by UEFI, once', async () => {
    const bmc = await start()
    await said(bmc, 'chassis bootdev pxe options=efiboot')
    expect(bmc.machine.next()).toEqual({ device: 'network', lasting: false, uefi: true })
    const flags = await said(bmc, 'chassis bootparam get 5')
    for (const text of ['Boot Flag Valid', 'only next boot', 'BIOS EFI boot', 'Force PXE']) expect(flags).toContain(text)
    await said(bmc, 'chassis power on')
    await said(bmc, 'chassis power cycle')
    expect(bmc.machine.boots()).toEqual(['network', null])
    await said(bmc, 'chassis bootdev disk options=persistent')
    expect(bmc.machine.next()).toEqual({ device: 'disk', lasting: true, uefi: false })
  })
  it('reads who it is, its log, its sensors and its FRU', async () => {
    const bmc = await start({ profile: 'supermicro' })
    await bmc.machine.on()
    const { hardware } = bmc.machine
    const [guid, info, log, sdr, sensor, fru, lan, ciphers, users] = await Promise.all(['mc guid', 'mc info', 'sel list', 'sdr list', 'sensor', 'fru', 'lan print 1', 'channel getciphers ipmi 1', 'user list 1'].map(line => start({ profile: 'supermicro', machine: bmc.machine }).then(one => said(one, line))))
    expect(guid).toContain(`${hardware.uuid}\n`)
    expect(info).toMatch(/IPMI Version +: 2\.0[^]*Manufacturer ID +: 10876/)
    expect(log).toMatch(/Power Supply #0x11 \| Power Supply AC lost.* \| Asserted/)
    for (const line of [/Inlet Temp +\| 23 degrees C +\| ok/, /Fan1 +\| 5400 RPM +\| ok/, /Power Meter +\| 184 Watts +\| ok/]) expect(sdr).toMatch(line)
    expect(sensor).toMatch(/CPU1 Temp +\| 48\.000 +\| degrees C +\| ok +\| na +\| na +\| na +\| 85\.000 +\| 95\.000/)
    expect(fru).toMatch(new RegExp(`Product Manufacturer +: Supermicro[^]*Product Name +: X12STW-TF[^]*Product Serial +: ${hardware.serial}`))
    expect(lan).toMatch(/IP Address +: 127\.0\.0\.1/)
    expect(ciphers).toMatch(/^3 +N\/A +hmac_sha1[^]*^17 +N\/A +hmac_sha256/m)
    expect(users).toMatch(/2 +admin .* ADMINISTRATOR/)
  })
  it('sees sensors without a reading while the machine is off, and clears the log', async () => {
    const bmc = await start()
    expect(await said(bmc, 'sdr list')).toMatch(/CPU1 Temp +\| no reading +\| ns/)
    await said(bmc, 'sel clear')
    expect((await said(bmc, 'sel list')).trim().split('\n')).toEqual([expect.stringContaining('Log area reset/cleared')])
  })
  it('needs K_g where there is one', async () => {
    const bmc = await start({ ipmi: { kg: 'secretkey' } })
    expect(await said(bmc, 'chassis power status', '-I lanplus -k secretkey')).toBe('Chassis Power is off\n')
    expect((await ipmitool(bmc, 'chassis power status')).code).toBe(1)
  })
  it.each<readonly [string, BmcOptions, string, string]>([
    ['no session is free', { faults: { exhausted: true } }, 'insufficient resources for session', 'chassis power status'],
    ['the machine is busy', { faults: { completion: 0xc0 } }, 'Node busy', 'chassis power status'],
    ['a cycle is asked of a machine that is off', {}, 'Command not supported in present state', 'chassis power cycle']
  ])('says what is wrong when %s', async (_, options, text, line) => {
    const { code, err } = await ipmitool(await start(options), line, '-I lanplus -C 3 -v')
    expect(code).toBe(1)
    expect(err).toContain(text)
  })
  it('gets through where packets are lost', async () => {
    const bmc = await start({ faults: { hangsUp: 1 } })
    expect((await ran('ipmitool', ['-H', bmc.host, '-p', String(bmc.ipmi?.port), '-U', 'admin', '-P', 'password', '-N', '1', '-R', '5', '-I', 'lanplus', '-C', '3', 'chassis', 'power', 'on'], { home })).code).toBe(0)
    expect(bmc.machine.state()).toBe('on')
  })
})

describe('FreeIPMI', () => {
  it.each([['LAN_2_0', '3'], ['LAN_2_0', '17'], ['LAN', undefined]])('ipmipower switches the machine by %s %s', async (driver, suite) => {
    const bmc = await start()
    const power = (action: string) => freeipmi(bmc, 'ipmipower', '-D', driver, ...suite === undefined ? [] : ['-I', suite], action)
    expect(await power('--stat')).toBe('127.0.0.1: off\n')
    expect(await power('--on')).toBe('127.0.0.1: ok\n')
    expect(await power('--stat')).toBe('127.0.0.1: on\n')
    expect(await power('--soft')).toBe('127.0.0.1: ok\n')
    expect(bmc.machine.state()).toBe('off')
  })
  it('reads the chassis, the sensors, the log, the FRU, and who it is', async () => {
    const bmc = await start()
    await bmc.machine.on()
    const lan = ['-D', 'LAN_2_0', '-I', '17']
    const cache = [`--sdr-cache-directory=${home}`]
    expect(await freeipmi(bmc, 'ipmi-chassis', ...lan, '--get-chassis-status')).toMatch(/System Power +: on/)
    expect(await freeipmi(bmc, 'ipmi-sensors', ...lan, ...cache, '--quiet-cache')).toMatch(/Inlet Temp +\| Temperature +\| 23\.00 +\| C +\| 'OK'[^]*Fan1 +\| Fan +\| 5400\.00 +\| RPM/)
    expect(await freeipmi(bmc, 'ipmi-sel', ...lan, ...cache, '--quiet-cache')).toMatch(/Power Supply +\| Power Supply input lost \(AC\/DC\)/)
    expect(await freeipmi(bmc, 'ipmi-fru', ...lan, ...cache, '--quiet-cache')).toContain(`FRU Product Serial Number: ${bmc.machine.hardware.serial}`)
    expect(await freeipmi(bmc, 'bmc-info', ...lan)).toMatch(/IPMI Version +: 2\.0/)
  })
})
