/** A BMC without its protocols: machines, accounts, log and faults, and what is done with them. */
import type { BootDevice, Happening, Machine, PowerState } from '../machine/machine.ts'
import { takes, type Faults } from './faults.ts'
import { createLog, type EventLog } from './hardware.ts'
import type { Profile } from './profile.ts'

export type Privilege = 'user' | 'operator' | 'administrator'
export interface Account { readonly user: string, readonly password: string, readonly privilege?: Privilege }
export type Action = 'on' | 'off' | 'cycle' | 'reset' | 'shutdown' | 'button'
/** What a machine did or was told. */
export type Event = Happening & { readonly machine: string }

/** One machine as the BMC sees it. */
export interface System {
  readonly id: string
  readonly machine: Machine
  readonly log: EventLog
  /** What is told: the truth, or what a fault makes of it. */
  power(): PowerState | 'turning on' | 'turning off' | undefined
  /** Begins it; what it comes to shows in the machine. */
  act(action: Action): void
  /** Rises with each change of the settings. */
  readonly generation: number
  set(next: { readonly device: BootDevice | null, readonly lasting?: boolean, readonly uefi?: boolean }): void
}

export interface Model {
  readonly profile: Profile
  readonly accounts: readonly Account[]
  readonly faults: Faults
  readonly systems: readonly [System, ...System[]]
  readonly started: number // s since 1970
  /** What was asked of it, the newest last. */
  readonly requests: string[]
  heard(request: string): void
  account(user: string): Account | undefined
  close(): void
}

const keptRequests = 1000
export const now = (): number => Math.floor(Date.now() / 1000)

export interface ModelOptions { readonly profile: Profile, readonly accounts: readonly Account[], readonly faults: Faults, readonly machines: readonly [Machine, ...Machine[]], readonly heard?: ((event: Event) => void) | undefined }

export function createModel ({ profile, accounts, faults, machines, heard = () => {} }: ModelOptions): Model {
  const ends: (() => void)[] = []
  const systemOf = (machine: Machine, index: number): System => {
    const log = createLog(now)
    ends.push(machine.watch(happening => {
      if (happening.event === 'on') log.add('power on')
      if (happening.event === 'off') log.add('power off')
      if (happening.event === 'reset') log.add('reset')
      heard({ ...happening, machine: machine.hardware.name })
    }))
    const { system } = profile.ids
    return createSystem(machines.length === 1 ? system : `${system.replace(/1$/, '')}${index + 1}`, machine, log, faults)
  }
  const requests: string[] = []
  const [first, ...others] = machines
  return {
    profile, accounts, faults, requests, started: now(),
    systems: [systemOf(first, 0), ...others.map((machine, index) => systemOf(machine, index + 1))],
    heard (request) { requests.push(request); if (requests.length > keptRequests) requests.shift() },
    account: user => accounts.find(account => account.user === user),
    close () { for (const end of ends) end() }
  }
}

function createSystem (id: string, machine: Machine, log: EventLog, faults: Faults): System {
  let late: { readonly action: Action, reads: number } | undefined // what shows only after some reads more
  const carryOut = (action: Action): void => {
    const work = async (): Promise<void> => {
      switch (action) {
        case 'on': await machine.on(); return
        case 'off': await machine.off(); return
        case 'cycle': if (machine.state() === 'on') { await machine.off(); await machine.on() } return
        case 'reset': await machine.reset(); return
        case 'shutdown': await machine.shutdown(); return
        case 'button': if (machine.state() === 'on') await machine.shutdown(); else await machine.on()
      }
    }
    work().catch(() => {}) // a machine says by itself why it does not start; a BMC does not know
  }
  const system = {
    id, machine, log, generation: 0,
    power () {
      if (faults.tells === 'hidden') return undefined
      if (faults.tells !== 'true') return faults.tells
      if (late !== undefined && late.reads-- <= 0) { carryOut(late.action); late = undefined }
      return late === undefined ? machine.state() : late.action === 'on' ? 'turning on' as const : 'turning off' as const
    },
    act (action: Action) {
      if (faults.lies) return
      if (faults.takes > 0) late = { action, reads: faults.takes }
      else carryOut(action)
    },
    set ({ device, lasting = false, uefi }: Parameters<System['set']>[0]) {
      system.generation++
      machine.boot(device === null ? null : { device, lasting, ...(uefi === undefined ? {} : { uefi }) })
    }
  }
  return system
}

/** Whether an answer to a power action is to be lost after it was carried out. */
export const losesAnswer = (faults: Faults): boolean => takes(faults, 'loseAnswer')
