/** The virtual machine's power button works on a real QEMU. */
import { mkdtemp, readdir, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import type { Firmware } from '../../sim/machine/machine.ts'
import { createQemu, type VirtualMachine } from '../../sim/machine/qemu.ts'

describe.each(['bios', 'uefi'] as Firmware[])('a %s machine', firmware => {
  let directory = ''
  let machine: VirtualMachine
  const said: string[] = []
  beforeEach(async () => {
    directory = await mkdtemp(join(tmpdir(), 'bedplate-vm-'))
    // QEMU makes a tap that does not exist and takes it with it; nothing is attached to this one
    machine = await createQemu({ name: 'm', firmware, mac: '52:54:00:be:d0:77', tap: `bpt${process.pid % 10000}${firmware === 'bios' ? 'b' : 'u'}`, directory, memory: 256, diskGiB: 1 }, 'disk', line => { said.push(line) })
  })
  afterEach(async () => { await machine.off(); await rm(directory, { recursive: true }) })

  it('goes on, resets and goes off, and says so', async () => {
    expect(machine.state()).toBe('off')
    machine.bootOnce('network')
    await machine.on()
    expect(machine.state()).toBe('on')
    await machine.reset()
    expect(machine.state()).toBe('on')
    await machine.off()
    expect(machine.state()).toBe('off')
    expect(said.filter(line => line.startsWith('power on'))).toEqual(['power on, network first', 'power on, disk first'])
    said.length = 0
    expect(await readdir(directory)).toContain('disk.qcow2')
  })
})
