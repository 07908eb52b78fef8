/** Who may try an account now, when many machines share it. */
import { expect, test } from 'vitest'
import { accountKey, createAccounts, type Account } from '../../../../plugins/power/rack/accounts.ts'

const minute = 60_000
const answered = (now: number, began = now) => ({ result: 'answered' as const, problem: '', began, now })
const refused = (now: number, began = now) => ({ result: 'refused' as const, problem: `no at ${now}`, began, now })
const silent = (now: number) => ({ result: 'other' as const, problem: '', began: now, now })
function blades (...machines: string[]): Account {
  const accounts = createAccounts(minute)
  return machines.map(machine => accounts.join(machine, 'k'))[0] as Account
}
const tries = (account: Account, machine: string, how: Parameters<Account['end']>[1]): void => { expect(account.begin(machine, how?.began ?? 0)).toBe('now'); account.end(machine, how) }

test('of those who share it one tries first; taken, it is all of theirs', () => {
  const account = blades('a', 'b', 'c')
  expect([account.begin('a', 0), account.begin('b', 0)]).toEqual(['now', 'wait'])
  account.end('a', undefined) // gave way
  expect([account.begin('b', 0), account.begin('c', 0)]).toEqual(['now', 'wait'])
  account.end('b', answered(1))
  expect([account.begin('a', 1), account.begin('b', 1), account.begin('c', 1)]).toEqual(['now', 'now', 'now'])
})

test('refused, it is held for all, longer each time, and after each hold another one tries, alone', () => {
  const account = blades('a', 'b', 'c')
  tries(account, 'a', refused(0))
  expect(account.begin('b', minute - 1)).toEqual({ problem: 'no at 0' })
  expect(account.begin('a', minute), 'the one that was refused leaves the others their turn').toEqual({ problem: 'no at 0' })
  expect([account.begin('b', minute), account.begin('c', minute)]).toEqual(['now', 'wait'])
  account.end('b', refused(minute))
  expect(account.begin('c', 3 * minute - 1)).toEqual({ problem: `no at ${minute}` })
  tries(account, 'c', silent(3 * minute))
  tries(account, 'a', refused(3 * minute))
  expect(account.begin('b', 7 * minute - 1)).toEqual({ problem: `no at ${3 * minute}` })
  expect(account.begin('b', 7 * minute)).toBe('now')
  expect(account.end('b', answered(7 * minute)), 'good after all').toBe(true)
  expect([account.begin('a', 7 * minute), account.begin('c', 7 * minute)]).toEqual(['now', 'now'])
})

test('an account that was taken is in doubt when it is refused to one machine, and held when it is to a second one', () => {
  const account = blades('a', 'b', 'c')
  tries(account, 'a', answered(0))
  tries(account, 'a', refused(1))
  expect([account.begin('b', 2), account.begin('c', 2)]).toEqual(['now', 'wait'])
  expect(account.end('b', answered(2)), 'it was a\'s alone, and nobody was held').toBe(false)
  tries(account, 'a', refused(minute))
  tries(account, 'b', refused(minute))
  expect(account.begin('c', minute + 1)).toEqual({ problem: `no at ${minute}` })
})

test('refusals of what was under way already lengthen nothing', () => {
  const account = blades('a', 'b', 'c', 'd')
  tries(account, 'a', answered(0))
  for (const machine of ['a', 'b', 'c', 'd']) expect(account.begin(machine, 1)).toBe('now')
  for (const [index, machine] of ['a', 'b', 'c', 'd'].entries()) account.end(machine, refused(10 + index, 1))
  expect(account.begin('a', 10 + minute)).toEqual({ problem: 'no at 11' })
  expect(account.begin('a', 11 + minute)).toBe('now')
})

test('a machine alone is tried again when the hold is over; one that does not answer keeps nobody waiting', () => {
  const alone = blades('a')
  tries(alone, 'a', refused(0))
  expect(alone.begin('a', minute)).toBe('now')
  const many = blades('a', 'b', 'c')
  tries(many, 'a', silent(0))
  expect([many.begin('b', 0), many.begin('c', 0)]).toEqual(['now', 'now'])
})

test('a machine is of one account; who goes lets the next one try, and what no machine uses is forgotten', () => {
  const accounts = createAccounts(minute)
  const old = accounts.join('a', 'old')
  accounts.join('b', 'old')
  expect([old.begin('a', 0), old.begin('b', 0)]).toEqual(['now', 'wait'])
  accounts.join('a', 'new')
  expect([accounts.size, [...old.machines], old.begin('b', 0)]).toEqual([2, ['b'], 'now'])
  for (const machine of ['a', 'b', 'b', 'x']) accounts.leave(machine)
  expect(accounts.size).toBe(0)
})

test('the key is the place, the driver and how to be let in, not which machine; it tells no secret', () => {
  const base = accountKey('tcp://h:443', 'redfish', { address: 'https://h/redfish/v1/Systems/1', user: 'u', password: 'secret' })
  expect(accountKey('tcp://h:443', 'redfish', { password: 'secret', user: 'u', address: 'https://h/redfish/v1/Systems/2' })).toBe(base)
  expect(base).not.toContain('secret')
  for (const other of [accountKey('tcp://i:443', 'redfish', { user: 'u', password: 'secret' }), accountKey('tcp://h:443', 'amt', { user: 'u', password: 'secret' }), accountKey('tcp://h:443', 'redfish', { user: 'v', password: 'secret' }), accountKey('tcp://h:443', 'redfish', { user: 'u', password: 'another' })]) expect(other).not.toBe(base)
})
