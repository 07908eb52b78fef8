/**
 * Who may try an account of a BMC now. Many machines may be behind one place under one account (a chassis, a hypervisor), and a BMC locks an account after a few refused
 * passwords, whichever machine they were meant for. Pure.
 */
import { createHash } from 'node:crypto'
import type { Parameters } from '../parameters.ts'
import { holdAfter } from './patience.ts'

/** The rest of the parameters is how to be let in. */
const whichMachine = new Set(['address', 'vmid', 'node', 'machine', 'outlets'])

/** One text for one account at one place, which tells no secret. */
export function accountKey (place: string, driver: string, parameters: Parameters): string {
  const how = Object.entries(parameters).filter(([name]) => !whichMachine.has(name)).sort(([a], [b]) => a < b ? -1 : 1)
  return createHash('sha256').update(JSON.stringify([place, driver, how])).digest('base64')
}

/** `now`: ask. `wait`: another machine tries it at this moment, look again soon. Else it is held, and this is what it was refused with. */
export type Turn = 'now' | 'wait' | { readonly problem: string }
export interface Account {
  readonly machines: ReadonlySet<string>
  /** Whether this machine may ask. After `now` it must come to `end`. */
  begin(machine: string, now: number): Turn
  /** How it ended; undefined: nobody knows. `began` and `now` in monotonic ms. True when it was held, and is good now. */
  end(machine: string, how: { readonly result: 'answered' | 'refused' | 'other', readonly problem: string, readonly began: number, readonly now: number } | undefined): boolean
}
export interface Accounts {
  /** The account under this key, of which the machine is one from now on, and of no other. */
  join(machine: string, key: string): Account
  /** An account without machines is forgotten. */
  leave(machine: string): void
  readonly size: number
}

/** `interval`: ms in which every machine has its turn. */
export function createAccounts (interval: number): Accounts {
  const accounts = new Map<string, Account & { readonly machines: Set<string> }>()
  const joined = new Map<string, string>()

  function leave (machine: string): void {
    const key = joined.get(machine)
    const account = key === undefined ? undefined : accounts.get(key)
    joined.delete(machine)
    if (key === undefined || account === undefined) return
    account.machines.delete(machine)
    account.end(machine, undefined)
    if (account.machines.size === 0) accounts.delete(key)
  }

  return {
    get size () { return accounts.size },
    leave,
    join (machine, key) {
      if (joined.get(machine) !== key) leave(machine)
      const account = accounts.get(key) ?? createAccount(interval)
      accounts.set(key, account)
      joined.set(machine, key)
      account.machines.add(machine)
      return account
    }
  }
}

function createAccount (interval: number): Account & { readonly machines: Set<string> } {
  const machines = new Set<string>()
  let trusted = false // nothing speaks against it: all may ask at once
  let refused: string | null = null // whose try was refused last, since the last that was not
  let trying: string | null = null
  let hold: { readonly since: number, readonly until: number, readonly ms: number, readonly problem: string } | undefined

  return {
    machines,
    begin (machine, now) {
      // The next try is another machine's, if there is one: it may be this machine alone that is closed to the account.
      if (hold !== undefined && now < hold.until + (refused === machine && machines.size > 1 ? interval : 0)) return { problem: hold.problem }
      if (trusted && refused === null) return 'now'
      if (trying !== null) return 'wait'
      trying = machine
      return 'now'
    },
    end (machine, how) {
      if (trying === machine) trying = null
      if (how === undefined) return false
      const { result, problem, began, now } = how
      const held = hold !== undefined
      if (result === 'answered') {
        trusted = true
        refused = null
        hold = undefined
        return held
      }
      if (result === 'other') { if (!held && refused === null) trusted = true; return false } // silence says nothing of a password, and is not waited for one by one
      if (hold !== undefined && began < hold.since) return false // under way when it was refused
      // An account that was good is refused to one machine: that may be for the machine alone. Refused to a second one, it is the account.
      if (!trusted || (refused !== null && refused !== machine)) {
        trusted = false
        const ms = holdAfter(hold?.ms)
        hold = { since: now, until: now + ms, ms, problem }
      }
      refused = machine
      return false
    }
  }
}
