/** What QEMU is started with. That its power button works: qemu.system.test.ts. */
import { describe, expect, it } from 'vitest'
import { qemuArguments, type QemuSpec } from '../../sim/machine/qemu.ts'

const spec: QemuSpec = { name: 'lab1', firmware: 'uefi', mac: '52:54:00:be:d0:01', tap: 'tap0', directory: '/nowhere', memory: 1024, diskGiB: 4 }

describe('QEMU\'s arguments', () => {
  const files = { disk: '/d', serial: '/s', qmp: '/q' }
  it.each([['network', 1, 2], ['disk', 2, 1]] as const)('tries the %s first when told so', (first, net, disk) => {
    const text = qemuArguments(spec, first, files).join(' ')
    expect(text).toContain(`mac=52:54:00:be:d0:01,bootindex=${net}`)
    expect(text).toContain(`drive=disk0,bootindex=${disk}`)
  })
  it('uses the firmware\'s own network stack on UEFI and the card\'s ROM on BIOS', () => {
    expect(qemuArguments(spec, 'network', files).join(' ')).toContain(',romfile=')
    expect(qemuArguments({ ...spec, firmware: 'bios' }, 'network', files).join(' ')).not.toContain('romfile')
  })
  it('ends instead of resetting, so that the next start takes the usual order', () => {
    expect(qemuArguments(spec, 'network', files)).toContain('-no-reboot')
  })
  it('gives the machine a UUID that stays the same, or the one asked for', () => {
    const uuid = (given: Partial<QemuSpec>) => { const all = qemuArguments({ ...spec, ...given }, 'disk', files); return all[all.indexOf('-uuid') + 1] }
    expect(uuid({})).toMatch(/^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/)
    expect(uuid({})).toBe(uuid({}))
    expect(uuid({ mac: '52:54:00:be:d0:02' })).not.toBe(uuid({}))
    expect(uuid({ uuid: '11111111-2222-4333-8444-555555555555' })).toBe('11111111-2222-4333-8444-555555555555')
  })
})
