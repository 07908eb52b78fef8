/** Transitions on a real database: one transaction each, vetoes, repetition, two at once, and what the BMC says. */
import { afterAll, beforeAll, expect, test } from 'vitest'
import type { Tx } from '../../../core/plugin.ts'
import type { Inventory, Machine, Transition } from '../../../plugins/machines/manifest.ts'
import { createParts, type Parts } from './parts.ts'

let parts: Parts
beforeAll(async () => { parts = await createParts() })
afterAll(async () => { await parts.db.drop() })

let count = 0
const nextMac = (): string => `52:54:00:00:${(++count >> 8).toString(16).padStart(2, '0')}:${(count & 255).toString(16).padStart(2, '0')}`
const inventory = (...macs: string[]): Inventory => ({ architecture: 'x86_64', firmware: 'uefi', cpu: { count: 2, model: 'QEMU' }, memory: 2048, disks: [{ name: 'vda', size: 6e9, model: null, serial: null, rotational: false }], interfaces: macs.map((mac, index) => ({ mac, name: `eth${index}`, speed: null, link: true })), dmi: {} })
const enlist = (mac = nextMac(), more: readonly string[] = []): Promise<Machine> => parts.db.tx(tx => parts.machines.enlist(tx, { macs: [mac, ...more], bootMac: mac, architecture: 'x86_64', firmware: 'uefi', vlanId: '7', inventory: null }))
const act = (id: string, ...[event, details]: Parameters<typeof parts.machines.act> extends [Tx, string, ...infer R] ? R : never): Promise<Machine> => parts.db.tx(tx => parts.machines.act(tx, id, event, details))
const history = async (id: string): Promise<string[]> => (await parts.db.query<{ message: string }>('select message from machines.event where machine = $1 order by id', [id])).map(row => row.message)
const wishes = async (id: string): Promise<string[]> => (await parts.db.query<{ wish: string }>(`select action || coalesce(' ' || boot, '') || ' ' || state as wish from power.action where machine = $1 order by id`, [id])).map(row => row.wish)
const deployment = { imageId: 'debian-12', sshKeys: ['ssh-ed25519 AAAA me'], userData: null, disk: null }
const changes = async (): Promise<number> => (await parts.db.query<{ count: number }>('select count(*)::int as count from core.change'))[0]?.count ?? 0

test('a machine goes from its first boot to Deployed and back to Ready, with its history', async () => {
  const { id, hostname } = await enlist()
  expect(id).toMatch(/^\w{6}$/)
  expect(hostname).toMatch(/^[a-z]+-[a-z]+/)
  await act(id, 'commission', { by: 'ann' })
  expect(await wishes(id)).toEqual(['cycle network queued'])
  await act(id, 'commissioned')
  expect(await wishes(id)).toEqual(['off queued'])
  await act(id, 'allocate', { by: 'ann' })
  const deploying = await act(id, 'deploy', { by: 'ann', deployment })
  expect(deploying).toMatchObject({ status: 'Deploying', deployment, installed: false, owner: 'ann', deadline: new Date(parts.clock.now() + 40 * 60_000) })
  expect(parts.machines.purpose(await act(id, 'installed'))).toBe('local')
  expect(await act(id, 'deployed', { hostKeys: ['ssh-ed25519 HOST'] })).toMatchObject({ status: 'Deployed', hostKeys: ['ssh-ed25519 HOST'], deadline: null })
  await act(id, 'release', { by: 'ann' })
  expect(await act(id, 'released')).toMatchObject({ status: 'Ready', owner: null, deployment: null, installed: false, hostKeys: [] })
  expect(await history(id)).toEqual([
    expect.stringMatching(/^Enlisted: booted from 52:54/), 'New → Commissioning (commission by ann)', 'Commissioning → Ready (commissioned)', 'Ready → Allocated (allocate by ann)',
    'Allocated → Deploying (deploy by ann)', 'Deploying: installed', 'Deploying → Deployed (deployed)', 'Deployed → Releasing (release by ann)', 'Releasing → Ready (released)'
  ])
  expect(await parts.machines.get(parts.db, id)).toMatchObject({ status: 'Ready', interfaces: [{ vlanId: '7', boot: true }] })
})

test('an event that is not possible names the state and where it is possible from', async () => {
  const { id, hostname } = await enlist()
  await expect(act(id, 'deploy', { deployment })).rejects.toMatchObject({ code: 'TRANSITION_INVALID', message: `Machine ${hostname} is New; deploy is possible only from Allocated, Failed deployment.` })
  await expect(act('nobody', 'deploy', { deployment })).rejects.toMatchObject({ code: 'NOT_FOUND' })
})

test('a repeated event changes nothing: no version, no history, no wish, no change-log row', async () => {
  const { id } = await enlist()
  await act(id, 'commission')
  const before = { machine: await parts.machines.get(parts.db, id), history: await history(id), wishes: await wishes(id), changes: await changes() }
  await act(id, 'commission')
  expect({ machine: await parts.machines.get(parts.db, id), history: await history(id), wishes: await wishes(id), changes: await changes() }).toEqual(before)
})

test('a veto undoes the whole transition, and the transaction it came in can go on', async () => {
  const { id } = await enlist()
  const seen: Transition[] = []
  parts.machines.hooks.transition.tapPromise('veto', async (tx, transition) => {
    if (transition.machine.id !== id) return
    seen.push(transition)
    await parts.machines.record(tx, id, { type: 'tap', level: 'info', message: 'a tap was here' })
    throw new TypeError('not today')
  })
  await parts.db.tx(async tx => {
    await expect(parts.machines.act(tx, id, 'commission')).rejects.toThrow('not today')
    await parts.machines.record(tx, id, { type: 'note', level: 'info', message: 'still here' })
  })
  expect(seen).toMatchObject([{ from: 'New', to: 'Commissioning', event: 'commission', machine: { status: 'Commissioning' } }])
  expect((await parts.machines.get(parts.db, id))?.status).toBe('New')
  expect(await wishes(id)).toEqual([])
  expect((await history(id)).at(-1)).toBe('still here')
  expect(await history(id)).not.toContain('a tap was here')
})

test('of two who allocate at once, one gets the machine', async () => {
  const { id } = await enlist()
  await act(id, 'commission')
  await act(id, 'commissioned')
  const results = await Promise.allSettled(['ann', 'bob', 'eve', 'joe'].map(by => act(id, 'allocate', { by })))
  const got = results.flatMap(result => result.status === 'fulfilled' ? [result.value.owner] : [])
  expect(got).toHaveLength(1)
  expect(results.flatMap(result => result.status === 'rejected' ? [result.reason.code] : [])).toEqual(Array(3).fill('TRANSITION_INVALID'))
  expect((await parts.machines.get(parts.db, id))?.owner).toBe(got[0])
  expect((await history(id)).filter(line => line.includes('→ Allocated'))).toHaveLength(1)
})

test('the same event from many at once happens once', async () => {
  const { id } = await enlist()
  await Promise.all(Array.from({ length: 5 }, () => act(id, 'commission')))
  expect((await history(id)).filter(line => line.includes('→ Commissioning'))).toHaveLength(1)
  expect(await wishes(id)).toEqual(['cycle network queued'])
})

test('a machine that boots twice at once, or from its other interface, is one machine', async () => {
  const [a, b] = [nextMac(), nextMac()]
  const found = await Promise.all([enlist(a, [b]), enlist(a, [b]), enlist(b, [a])])
  expect(new Set(found.map(one => one.id)).size).toBe(1)
  const [row] = await parts.db.query<{ count: number }>('select count(distinct machine)::int as count from machines.interface where mac = any($1)', [[a, b]])
  expect(row?.count).toBe(1)
  expect(await parts.machines.byMac(parts.db, a.toUpperCase().replaceAll(':', '-'))).toMatchObject({ id: found[0]?.id })
})

test('enlisting again moves the boot interface and keeps state and name', async () => {
  const [a, b] = [nextMac(), nextMac()]
  const first = await enlist(a, [b])
  const again = await enlist(b, [a])
  expect(again).toMatchObject({ id: first.id, hostname: first.hostname, status: 'New' })
  expect(again.interfaces.filter(one => one.boot).map(one => one.mac)).toEqual([b])
})

test('what claims to be a machine that something was decided about changes nothing of it, and is told of', async () => {
  const [a, b] = [nextMac(), nextMac()]
  const { id } = await enlist(a, [b])
  await act(id, 'commission')
  const before = await parts.machines.get(parts.db, id)
  await enlist(b, [a])
  expect(await parts.machines.get(parts.db, id)).toEqual(before)
  const events = await parts.db.query<{ message: string }>("select message from machines.event where machine = $1 and level = 'warning'", [id])
  expect(events.map(({ message }) => message)).toEqual([expect.stringContaining(`calls itself ${b}`)])
})

test('an inventory completes the interfaces, drops those that are gone, and leaves other machines theirs', async () => {
  const [boot, gone, fresh, foreign] = [nextMac(), nextMac(), nextMac(), nextMac()]
  const other = await enlist(foreign)
  const { id } = await enlist(boot, [gone])
  await parts.db.tx(tx => parts.machines.saveInventory(tx, id, inventory(boot, fresh, foreign), '9'))
  const machine = await parts.machines.get(parts.db, id)
  expect(machine?.interfaces).toEqual([{ mac: boot, name: 'eth0', vlanId: '9', boot: true }, { mac: fresh, name: 'eth1', vlanId: null, boot: false }])
  expect(machine?.inventory).toEqual(inventory(boot, fresh, foreign))
  expect((await parts.machines.get(parts.db, other.id))?.interfaces).toMatchObject([{ mac: foreign }])
  expect(await history(id)).toContain(`The MAC address ${foreign} belongs to another machine; it stays there.`)
})

test('a failed power-on ends the state it was for, with the BMC\'s reason; a failed power-off only shows', async () => {
  const { id } = await enlist()
  await act(id, 'commission')
  const outcome = (action: 'cycle' | 'off', ok: boolean, reason: string | null, superseded = false) => parts.db.tx(tx => parts.power.hooks.outcome.promise(tx, { machine: id, action, ok, reason, rack: 'r1', superseded }))
  await outcome('off', false, 'no answer')
  expect((await parts.machines.get(parts.db, id))?.status).toBe('Commissioning')
  await outcome('cycle', false, 'an older wish, replaced meanwhile', true)
  expect((await parts.machines.get(parts.db, id))?.status).toBe('Commissioning')
  await outcome('cycle', false, 'the BMC is on fire')
  expect(await parts.machines.get(parts.db, id)).toMatchObject({ status: 'Failed commissioning', reason: 'Power cycle failed: the BMC is on fire' })
  await outcome('cycle', false, 'again')
  expect((await parts.machines.get(parts.db, id))?.status).toBe('Failed commissioning')
  expect(await history(id)).toEqual(expect.arrayContaining(['Power off failed: no answer', 'Power cycle failed: the BMC is on fire', 'Power cycle failed: again']))
})

test('what an operator must do by hand is in the history', async () => {
  const { id } = await enlist()
  await parts.db.tx(tx => parts.power.hooks.outcome.promise(tx, { machine: id, action: 'on', ok: true, reason: 'An operator must act: Switch it on.', rack: null, superseded: false }))
  expect((await history(id)).at(-1)).toBe('An operator must act: Switch it on.')
  await parts.db.tx(tx => parts.power.hooks.outcome.promise(tx, { machine: 'gone42', action: 'on', ok: true, reason: null, rack: null, superseded: false }))
})

test('the gauge counts the machines by status when it is read', async () => {
  const text = await parts.metrics.registry.metrics()
  const [row] = await parts.db.query<{ count: number }>(`select count(*)::int as count from machines.machine where status = 'Ready'`)
  expect(text).toContain(`bedplate_machines{status="Ready"} ${row?.count}`)
  expect(text).toContain('bedplate_machines{status="Broken"} 0')
})
