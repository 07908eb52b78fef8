/** Whatever happens to a machine, in whatever order: what must hold of it holds. */
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { statuses, type MachineEvent, type Status } from '../../../plugins/machines/manifest.ts'
import { decide, follow, purpose, table, type Details, type MachineRow } from '../../../plugins/machines/transition.ts'

const limits = { commissioning: 20, deploying: 40, releasing: 15 }
const inventory = { architecture: 'x86_64', firmware: 'bios' as const, cpu: { count: 1, model: 'x' }, memory: 1, disks: [], interfaces: [], dmi: {} }
const start: MachineRow = {
  id: '222222', hostname: 'brave-otter', status: 'New', previous: null, version: '1', reason: null, since: new Date(0), deadline: null, architecture: 'x86_64', firmware: 'bios',
  interfaces: [], owner: null, inventory: null, deployment: null, installed: false, hostKeys: [], tags: [], bootWay: null
}
const events = ['commission', 'commissioned', 'allocate', 'deploy', 'installed', 'deployed', 'release', 'released', 'abort', 'failed', 'timeout', 'mark-broken', 'mark-fixed'] as const satisfies readonly MachineEvent[]
const step = fc.record({
  any: fc.constantFrom(...events),
  choice: fc.nat(1_000),
  astray: fc.integer({ min: 0, max: 4 }).map(roll => roll === 0),
  details: fc.record({ by: fc.constantFrom('ann', 'bob'), reason: fc.constant('because'), hostKeys: fc.constant(['ssh-ed25519 K']), deployment: fc.constantFrom('a', 'b').map(imageId => ({ imageId, sshKeys: [], userData: null, disk: null })) }, { requiredKeys: ['by', 'deployment'] })
})
/** Mostly one of the events the state knows: picked blindly, a walk would seldom get as far as Deployed. */
function eventOf (machine: MachineRow, { any, choice, astray }: { readonly any: MachineEvent, readonly choice: number, readonly astray: boolean }): MachineEvent {
  const possible = Object.keys(table[machine.status]) as MachineEvent[]
  return astray ? any : possible[choice % possible.length] ?? any
}
const passing: readonly Status[] = ['Commissioning', 'Deploying', 'Releasing']

/** A machine's disks, as the world would have them: whose data is on them. */
interface World { readonly machine: MachineRow, readonly data: string | null, readonly usedBy: readonly string[] }

function take ({ machine, data, usedBy }: World, event: MachineEvent, details: Details, minute: number): World {
  const rule = decide(machine, event, details)
  if (typeof rule !== 'object') return { machine, data, usedBy }
  const next = { ...follow(machine, rule, event, details, new Date(minute * 60_000), limits), ...(event === 'commissioned' ? { inventory } : {}) }
  if (next.status === 'Deploying') return { machine: next, data: next.owner, usedBy: data !== null && data !== next.owner ? [...usedBy, `${next.owner} got the disks of ${data}`] : usedBy }
  return { machine: next, data: event === 'released' ? null : data, usedBy }
}

const walks = fc.array(step, { maxLength: 60, size: 'max' })

test('a machine in a passing state has a deadline, a failed or broken one a reason, and an idle one neither owner nor data', () => {
  const visited = new Set<Status>()
  fc.assert(fc.property(walks, steps => {
    let world: World = { machine: start, data: null, usedBy: [] }
    for (const [index, one] of steps.entries()) {
      world = take(world, eventOf(world.machine, one), one.details as Details, index)
      const { machine } = world
      visited.add(machine.status)
      expect(machine.deadline !== null, `${machine.status} has a deadline`).toBe(passing.includes(machine.status))
      if (/^(Failed|Broken)/.test(machine.status)) expect(machine.reason).toMatch(/\S/)
      if (['New', 'Ready', 'Commissioning', 'Failed commissioning'].includes(machine.status)) expect([machine.owner, machine.deployment, machine.installed, machine.hostKeys.length]).toEqual([null, null, false, 0])
      if (['Allocated', 'Deploying', 'Deployed', 'Failed deployment', 'Releasing', 'Failed releasing'].includes(machine.status)) expect(machine.owner).not.toBeNull()
      if (machine.status === 'Ready' || machine.status === 'Allocated') expect(machine.inventory, machine.status).not.toBeNull()
      if (machine.status === 'Deploying' || machine.status === 'Deployed') expect(machine.deployment).not.toBeNull()
    }
    expect(world.usedBy).toEqual([]) // nobody got another one's data
  }), { numRuns: 1_000 })
  expect([...visited].sort()).toEqual([...statuses].sort())
})

test('every event repeated at once changes nothing', () => {
  fc.assert(fc.property(walks, steps => {
    let machine = start
    for (const one of steps) {
      const [event, details] = [eventOf(machine, one), one.details]
      const rule = decide(machine, event, details as Details)
      if (typeof rule !== 'object') continue
      machine = { ...follow(machine, rule, event, details as Details, new Date(0), limits), ...(event === 'commissioned' ? { inventory } : {}) }
      expect(decide(machine, event, details as Details), `${event} in ${machine.status}`).toBe('repeated')
    }
  }), { numRuns: 1_000 })
})

test('from anywhere an operator gets to Ready by events of his own and what the machine then reports', () => {
  const ways: { readonly [S in Status]: readonly MachineEvent[] } = {
    'New': ['commission', 'commissioned'], 'Commissioning': ['commissioned'], 'Failed commissioning': ['commission', 'commissioned'], 'Ready': [],
    'Allocated': ['release', 'released'], 'Deploying': ['abort', 'release', 'released'], 'Failed deployment': ['release', 'released'], 'Deployed': ['release', 'released'],
    'Releasing': ['released'], 'Failed releasing': ['release', 'released'], 'Broken': ['mark-fixed', 'release', 'commission', 'commissioned', 'released']
  }
  fc.assert(fc.property(walks, steps => {
    let world: World = { machine: start, data: null, usedBy: [] }
    for (const one of steps) world = take(world, eventOf(world.machine, one), one.details as Details, 0)
    for (let turn = 0; turn < 3 && world.machine.status !== 'Ready'; turn++) for (const event of ways[world.machine.status]) world = take(world, event, { by: 'operator' }, 0)
    expect(world.machine.status).toBe('Ready')
    expect(purpose(world.machine)).toBe('poweroff')
  }), { numRuns: 1_000 })
})
