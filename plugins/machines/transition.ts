/** The machine's lifecycle as one table: (status, event) → what follows. Pure. */
import { isDeepStrictEqual } from 'node:util'
import type { Deployment, Machine, MachineEvent, Purpose, Status } from './manifest.ts'

/** A machine with what only its own lifecycle looks at. */
export interface MachineRow extends Machine { readonly previous: Status | null, readonly version: string }
export interface Details { readonly reason?: string, readonly by?: string, readonly deployment?: Deployment, readonly hostKeys?: readonly string[] }
export interface Wish { readonly action: 'on' | 'off' | 'cycle', readonly boot?: 'network' }
/** Minutes each state that must not last may last. */
export interface Limits { readonly commissioning: number, readonly deploying: number, readonly releasing: number }

/** What holds of the machine for a rule to apply; of several rules the first that holds is taken. */
const conditions = {
  installing: (machine: MachineRow) => !machine.installed, // later there is nothing left that could fail it: what is heard then was said before
  untouched: (machine: MachineRow) => machine.deployment === null, // no installer has written to its disks
  wasReady: (machine: MachineRow) => machine.previous === 'Ready',
  wasDeployed: (machine: MachineRow) => machine.previous === 'Deployed',
  owned: (machine: MachineRow) => machine.owner !== null,
  commissioned: (machine: MachineRow) => machine.inventory !== null
}
export type Condition = keyof typeof conditions

type Patch = Partial<Pick<MachineRow, 'owner' | 'deployment' | 'installed' | 'hostKeys'>>
const effects = {
  takeOwner: ({ by }: Details): Patch => ({ owner: by ?? null }),
  dropOwner: (): Patch => ({ owner: null }),
  saveDeployment: ({ deployment }: Details): Patch => ({ deployment: deployment ?? null, installed: false, hostKeys: [] }),
  dropDeployment: (): Patch => ({ deployment: null, installed: false, hostKeys: [] }),
  markInstalled: (): Patch => ({ installed: true }),
  saveHostKeys: ({ hostKeys }: Details): Patch => ({ installed: true, ...(hostKeys ? { hostKeys } : {}) })
}
export type Effect = keyof typeof effects

export interface Rule {
  readonly to: Status, readonly when?: Condition, readonly deadline?: keyof Limits
  readonly power?: Wish, readonly effects?: readonly Effect[]
}

const bootNetwork: Wish = { action: 'cycle', boot: 'network' } // cycle switches a machine on that is off
const off: Wish = { action: 'off' }
const commission: Rule = { to: 'Commissioning', deadline: 'commissioning', power: bootNetwork, effects: ['dropOwner'] }
const deploy: Rule = { to: 'Deploying', deadline: 'deploying', power: bootNetwork, effects: ['saveDeployment'] }
const release: Rule = { to: 'Releasing', deadline: 'releasing', power: bootNetwork }
const broken: Rule = { to: 'Broken' }
const stopBroken: Rule = { to: 'Broken', power: off } // nothing may go on working on a broken machine

/** The lifecycle. What is not here is not possible; what has already had its effect is in `done`. */
export const table: { readonly [S in Status]: { readonly [E in MachineEvent]?: readonly Rule[] } } = {
  'New': { 'commission': [commission], 'mark-broken': [broken] },
  'Commissioning': {
    'commissioned': [{ to: 'Ready', power: off }],
    'failed': [{ to: 'Failed commissioning', power: off }],
    'timeout': [{ to: 'Failed commissioning', power: off }],
    'abort': [{ to: 'Ready', when: 'wasReady', power: off }, { to: 'New', power: off }],
    'mark-broken': [stopBroken]
  },
  'Failed commissioning': { 'commission': [commission], 'mark-broken': [broken] },
  'Ready': { 'commission': [commission], 'allocate': [{ to: 'Allocated', effects: ['takeOwner'] }], 'mark-broken': [broken] },
  'Allocated': {
    'deploy': [deploy],
    'release': [{ to: 'Ready', when: 'untouched', power: off, effects: ['dropOwner'] }, release],
    'mark-broken': [broken]
  },
  'Deploying': {
    'installed': [{ to: 'Deploying', effects: ['markInstalled'] }], // the machine restarts itself, now from its disk
    'deployed': [{ to: 'Deployed', effects: ['saveHostKeys'] }],
    'failed': [{ to: 'Failed deployment', when: 'installing' }], // left on, so that its console can be read
    'timeout': [{ to: 'Failed deployment' }],
    'abort': [{ to: 'Allocated', power: off }],
    'mark-broken': [stopBroken]
  },
  'Failed deployment': { 'deploy': [deploy], 'release': [release], 'mark-broken': [stopBroken] },
  'Deployed': { 'release': [release], 'mark-broken': [broken] },
  'Releasing': {
    'released': [{ to: 'Ready', power: off, effects: ['dropOwner', 'dropDeployment'] }],
    'failed': [{ to: 'Failed releasing', power: off }],
    'timeout': [{ to: 'Failed releasing', power: off }],
    'abort': [{ to: 'Failed releasing', power: off }], // half wiped: neither usable nor Ready
    'mark-broken': [stopBroken]
  },
  'Failed releasing': { 'release': [release], 'mark-broken': [broken] },
  'Broken': {
    'commission': [{ ...commission, when: 'untouched' }], // nobody's data gets to Ready without a release
    'release': [{ ...release, when: 'owned' }],
    'mark-fixed': [{ to: 'Deployed', when: 'wasDeployed' }, { to: 'Allocated', when: 'owned' }, { to: 'Ready', when: 'commissioned' }, { to: 'New' }]
  }
}

/** Where an event has already had its effect, so that repeating it changes nothing. */
const done: { readonly [E in MachineEvent]: readonly Status[] } = {
  'commission': ['Commissioning'],
  'commissioned': ['Ready'],
  'allocate': ['Allocated'],
  'deploy': ['Deploying'],
  'installed': ['Deployed'],
  'deployed': ['Deployed'],
  'release': ['Releasing', 'Ready'],
  'released': ['Ready'],
  'abort': ['New', 'Ready', 'Allocated', 'Failed releasing'],
  'failed': ['Failed commissioning', 'Failed deployment', 'Failed releasing'],
  'timeout': ['Failed commissioning', 'Failed deployment', 'Failed releasing'],
  'mark-broken': ['Broken'],
  'mark-fixed': ['New', 'Ready', 'Allocated', 'Deployed']
}

/** True when `event` with these details has already happened to the machine. A wish for something else (another owner, another image) has not. */
function repeated (machine: MachineRow, event: MachineEvent, { by, deployment }: Details): boolean {
  if (event === 'installed' && machine.status === 'Deploying') return machine.installed
  if (!done[event].includes(machine.status)) return false
  if (event === 'allocate') return machine.owner === (by ?? null)
  if (event === 'deploy') return isDeepStrictEqual(machine.deployment, deployment ?? null)
  return true
}

/** The states `event` is possible from, with the condition where there is one: `Broken (owned)`. */
export const possibleFrom = (event: MachineEvent): readonly string[] => Object.entries(table).flatMap(([status, rows]) => {
  const rules = rows[event] ?? []
  return rules.length === 0 ? [] : [rules.every(rule => rule.when !== undefined) ? `${status} (${rules.map(rule => rule.when).join(' or ')})` : status]
})

/** The rule that applies; 'repeated' when the event has had its effect; undefined when it is not possible. */
export function decide (machine: MachineRow, event: MachineEvent, details: Details = {}): Rule | 'repeated' | undefined {
  if (repeated(machine, event, details)) return 'repeated'
  return table[machine.status][event]?.find(rule => rule.when === undefined || conditions[rule.when](machine))
}

const tellsWhy = new Set<MachineEvent>(['failed', 'timeout', 'abort', 'mark-broken'])

/** The machine after the rule. `limits` in minutes. A step inside a state (installed) keeps its start and deadline. */
export function follow (machine: MachineRow, rule: Rule, event: MachineEvent, details: Details, now: Date, limits: Limits): MachineRow {
  const patch = Object.assign({}, ...(rule.effects ?? []).map(effect => effects[effect](details))) as Patch
  if (rule.to === machine.status) return { ...machine, ...patch }
  const reason = tellsWhy.has(event) ? details.reason ?? `${event}${details.by === undefined ? '' : ` by ${details.by}`}, no reason given` : null
  const deadline = rule.deadline === undefined ? null : new Date(now.getTime() + limits[rule.deadline] * 60_000)
  return { ...machine, ...patch, status: rule.to, previous: machine.status, reason, since: now, deadline }
}

/** What the machine shall do when it boots from the network. */
export function purpose (machine: Pick<Machine, 'status' | 'installed'>): Purpose {
  switch (machine.status) {
    case 'Commissioning': return 'commission'
    case 'Deploying': return machine.installed ? 'local' : 'deploy'
    case 'Deployed': return 'local'
    case 'Releasing': return 'release'
    default: return 'poweroff'
  }
}
