/** A controller killed in the middle of a machine's way: the machine still gets there, or says why not within its time. At the end one is released. */
import { execFileSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterEach, describe, expect, it } from 'vitest'
import { systemClock } from '../../core/clock.ts'
import { labImage } from './image.ts'
import { travel, type Step } from './journey.ts'
import { createLab, type Lab } from './lab.ts'
import { ensurePackages, packages } from './packages.ts'

const lines: string[] = []
const say = (line: string) => { lines.push(line) }
let lab: Lab | undefined
afterEach(async () => { await lab?.stop(); lab = undefined; lines.length = 0 })

/** Takes one machine through while `victim` is killed at the first step that `when` likes, and started again 3 s later. */
async function travelWithout (victim: 'region' | 'rack', when: (step: Step) => boolean) {
  await ensurePackages([...packages.network, ...packages.machines, 'curl'], say)
  const image = await labImage(say)
  const here = lab = await createLab({ firmware: ['bios'], split: true, image, apiPort: 0, keep: false, say, hear: (_, line) => say(line) })
  const [machine] = here.machines
  if (!machine) expect.unreachable('the lab has one machine')
  let killed: Promise<void> | undefined
  const journey = await travel(here, machine, step => {
    say(`${step.stage} ${step.status} ${step.detail}`)
    if (killed || !when(step)) return
    say(`kill -9 ${victim}`)
    killed = here[victim].kill().then(() => systemClock.sleep(3_000)).then(() => { here[victim].start(); say(`${victim} started again`) })
  })
  expect(killed, `the moment to kill never came:\n${lines.join('\n')}`).toBeDefined()
  await killed
  return journey
}

/** Where it ended, which is the whole point: never in between. */
function settled (journey: Awaited<ReturnType<typeof travel>>): void {
  const story = lines.slice(-60).join('\n')
  if (journey.state === 'Deployed') expect(journey.os, story).toMatch(/^Debian/)
  else { expect(journey.state, story).toMatch(/^Failed/); expect(journey.failure, story).toMatch(/: .{10,}/) }
}

/** The beginning of a machine's disk, where partition tables are. */
function firstSectors (directory: string): Buffer {
  const raw = join(directory, 'head.raw')
  execFileSync('qemu-img', ['dd', '-U', '-f', 'qcow2', '-O', 'raw', 'bs=64K', 'count=16', `if=${join(directory, 'disk.qcow2')}`, `of=${raw}`])
  return readFileSync(raw)
}

describe('kill -9', () => {
  it('of the rack while a machine boots does not leave the machine hanging', async () => {
    const journey = await travelWithout('rack', step => step.stage === 'commissioning' && /vmlinuz|kernel/.test(step.detail))
    settled(journey)
    expect(journey.state, lines.slice(-60).join('\n')).toBe('Deployed')

    // and back: Deployed → Releasing → Ready, with nothing left on the disk that a firmware would boot
    const here = lab
    const machine = here?.machines[0]
    if (!here || !machine) expect.unreachable('the lab is there')
    expect(firstSectors(machine.directory).includes('EFI PART')).toBe(true)
    const { items: [known] } = await here.api.get<{ items: { id: string }[] }>(`/api/v1/machines?mac=${machine.mac}`)
    await here.api.send('POST', `/api/v1/machines/${known?.id}/release`, {})
    await here.api.until<{ status: string }>(`/api/v1/machines/${known?.id}`, 'Ready after the release', 600, ({ status }) => status === 'Ready')
    await here.api.until<{ power: { state: string } }>(`/api/v1/machines/${known?.id}`, 'power off after the release', 60, ({ power }) => power.state === 'off')
    const disk = firstSectors(machine.directory)
    expect(disk.includes('EFI PART')).toBe(false)
    expect(disk.subarray(510, 512).toString('hex')).not.toBe('55aa')
    expect((await here.api.get<{ items: unknown[] }>(`/api/v1/network/addresses?owner=${known?.id}`)).items).toEqual([])
  })
  it('of the region while a machine installs does not leave the machine hanging', async () => {
    const journey = await travelWithout('region', step => step.stage === 'deploying' && step.status === 'Deploying' && step.bytes > 0 && !/vmlinuz|initrd/.test(step.detail))
    settled(journey)
    expect(journey.state, lines.slice(-60).join('\n')).toBe('Deployed')
  })
})
