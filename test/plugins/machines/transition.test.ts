/** The lifecycle table, every cell of it: what follows from each event in each state. */
import { expect, test } from 'vitest'
import type { Deployment, MachineEvent, Status } from '../../../plugins/machines/manifest.ts'
import { statuses } from '../../../plugins/machines/manifest.ts'
import { decide, follow, possibleFrom, purpose, table, type Details, type MachineRow } from '../../../plugins/machines/transition.ts'

const limits = { commissioning: 20, deploying: 40, releasing: 15 }
const now = new Date('2030-01-01T00:00:00Z')
const deployment: Deployment = { imageId: 'debian-12', sshKeys: ['ssh-ed25519 AAAA me'], userData: null, disk: null }
const inventory = { architecture: 'x86_64', firmware: 'uefi' as const, cpu: { count: 1, model: 'x' }, memory: 1, disks: [], interfaces: [], dmi: {} }
const bare: MachineRow = {
  id: '222222', hostname: 'brave-otter', status: 'New', previous: null, version: '1', reason: null, since: new Date(0), deadline: null, architecture: 'x86_64', firmware: 'uefi',
  interfaces: [], owner: null, inventory: null, deployment: null, installed: false, hostKeys: [], tags: [], bootWay: null
}
/** The machines whose answers differ: each line of the transcript is one of them under one event. */
const shapes: Record<string, Partial<MachineRow>> = {
  'bare': {},
  'commissioned': { inventory, previous: 'Ready' },
  'owned': { inventory, owner: 'ann', previous: 'Ready' },
  'written to': { inventory, owner: 'ann', deployment, previous: 'Allocated' },
  'installed': { inventory, owner: 'ann', deployment, installed: true, hostKeys: ['ssh-ed25519 HOST'], previous: 'Deployed' }
}
const events: readonly MachineEvent[] = ['commission', 'commissioned', 'allocate', 'deploy', 'installed', 'deployed', 'release', 'released', 'abort', 'failed', 'timeout', 'mark-broken', 'mark-fixed']
const details: Details = { by: 'ann', deployment, reason: 'because', hostKeys: ['ssh-ed25519 NEW'] }

function outcome (machine: MachineRow, event: MachineEvent): string {
  const rule = decide(machine, event, details)
  if (rule === undefined) return '-'
  if (rule === 'repeated') return 'nothing, it has happened'
  const next = follow(machine, rule, event, details, now, limits)
  return [
    next.status,
    ...(rule.power === undefined ? [] : [`power ${rule.power.action}${rule.power.boot === undefined ? '' : `, boot ${rule.power.boot}`}`]),
    ...(next.deadline === null ? [] : [`within ${(next.deadline.getTime() - now.getTime()) / 60_000} min`]),
    ...(next.reason === null ? [] : [`reason: ${next.reason}`]),
    ...(next.owner === machine.owner ? [] : [`owner ${next.owner ?? 'none'}`]),
    ...(next.deployment === machine.deployment ? [] : [next.deployment === null ? 'deployment cleared' : 'deployment saved']),
    ...(next.installed === machine.installed ? [] : [next.installed ? 'installed' : 'not installed']),
    ...(next.hostKeys.length === machine.hostKeys.length ? [] : [next.hostKeys.length === 0 ? 'host keys cleared' : 'host keys saved'])
  ].join('; ')
}

/** `deadline` is only looked at by the transcript when the transition sets one. */
const transcript = (): string => statuses.flatMap(status => events.flatMap(event => {
  const lines = Object.entries(shapes).map(([name, shape]) => [name, outcome({ ...bare, ...shape, status }, event)] as const)
  const different = new Set(lines.map(([, text]) => text))
  return different.size === 1 ? [`${status} | ${event} | ${[...different][0]}`] : lines.map(([name, text]) => `${status} | ${event} | ${name}: ${text}`)
})).join('\n') + '\n'

test('every event in every state does what the transcript says', async () => {
  await expect(transcript()).toMatchFileSnapshot('../../golden/machines-lifecycle.txt')
})

test('nobody\'s data comes to Ready but through Releasing', () => {
  for (const status of statuses.filter(one => one !== 'Releasing')) for (const event of events) {
    const machine = { ...bare, ...shapes['written to'], status, previous: 'Allocated' as const }
    const rule = decide(machine, event, details)
    if (typeof rule !== 'object') continue
    const next = follow(machine, rule, event, details, now, limits)
    if (['Ready', 'New', 'Commissioning'].includes(next.status)) expect(['New', 'Ready', 'Commissioning', 'Failed commissioning'], `${status} ${event}`).toContain(status) // where no machine with data is
  }
})

test('a machine can come from every state to every other', () => {
  const reach = (from: Status): Set<Status> => {
    const seen = new Set<Status>([from])
    for (const status of seen) for (const rules of Object.values(table[status])) for (const { to } of rules) seen.add(to)
    return seen
  }
  for (const status of statuses) expect(reach(status).size, `from ${status}`).toBe(statuses.length)
})

test('a state has a deadline exactly when a machine must not stay in it', () => {
  const deadlines = new Map<Status, boolean>()
  for (const rules of statuses.flatMap(status => Object.values(table[status]))) for (const { to, deadline } of rules) if (deadline !== undefined) deadlines.set(to, true)
  expect([...deadlines.keys()].sort()).toEqual(['Commissioning', 'Deploying', 'Releasing'])
  for (const status of deadlines.keys()) for (const event of ['failed', 'timeout', 'abort', 'mark-broken'] as const) expect(table[status][event], `${status} ${event}`).toBeDefined()
  for (const [from, rows] of Object.entries(table)) for (const { to, deadline } of Object.values(rows).flat()) expect(deadline !== undefined || from === to, `${from} → ${to}`).toBe(deadlines.has(to) || from === to)
})

test('every failure tells its reason, also when none was given', () => {
  for (const status of ['Commissioning', 'Deploying', 'Releasing'] as const) {
    const machine = { ...bare, status }
    const rule = decide(machine, 'failed')
    expect(rule).toBeTypeOf('object')
    if (typeof rule === 'object') expect(follow(machine, rule, 'failed', {}, now, limits).reason).toMatch(/failed/)
  }
})

test('allocating or deploying for somebody or something else is not a repetition', () => {
  const taken = { ...bare, status: 'Allocated' as const, owner: 'bob' }
  expect(decide(taken, 'allocate', { by: 'ann' })).toBeUndefined()
  expect(decide(taken, 'allocate', { by: 'bob' })).toBe('repeated')
  const busy = { ...bare, status: 'Deploying' as const, owner: 'ann', deployment }
  expect(decide(busy, 'deploy', { deployment: { ...deployment } })).toBe('repeated')
  expect(decide(busy, 'deploy', { deployment: { ...deployment, imageId: 'debian-13' } })).toBeUndefined()
})

test('"installed" keeps the deadline and the start of the deployment', () => {
  const deadline = new Date('2030-01-01T00:40:00Z')
  const machine: MachineRow = { ...bare, status: 'Deploying', previous: 'Allocated', since: now, deadline, deployment }
  const rule = decide(machine, 'installed')
  if (typeof rule !== 'object') throw new TypeError('not possible')
  expect(follow(machine, rule, 'installed', {}, new Date('2030-01-01T00:10:00Z'), limits)).toEqual({ ...machine, installed: true })
})

test('purpose: only a machine something is done to may boot anything but its disk', () => {
  const of = (status: Status, installed = false) => purpose({ status, installed })
  expect(Object.fromEntries(statuses.map(status => [status, of(status)]))).toEqual({
    'New': 'poweroff', 'Commissioning': 'commission', 'Failed commissioning': 'poweroff', 'Ready': 'poweroff', 'Allocated': 'poweroff', 'Deploying': 'deploy',
    'Failed deployment': 'poweroff', 'Deployed': 'local', 'Releasing': 'release', 'Failed releasing': 'poweroff', 'Broken': 'poweroff'
  })
  expect(of('Deploying', true)).toBe('local')
})

test('the states an event is possible from are the ones the table has it in', () => {
  expect(possibleFrom('allocate')).toEqual(['Ready'])
  expect(possibleFrom('commission')).toEqual(['New', 'Failed commissioning', 'Ready', 'Broken (untouched)'])
  expect(possibleFrom('release')).toEqual(['Allocated', 'Failed deployment', 'Deployed', 'Failed releasing', 'Broken (owned)'])
})
