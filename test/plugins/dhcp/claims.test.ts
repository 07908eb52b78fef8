/** Who claims which address: the two indexes always tell the same, whatever was put and deleted in whatever order. */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { Claims } from '../../../plugins/dhcp/rack/claims.ts'

interface Claim { readonly address: number, readonly client: string, readonly number?: number }
type Step = (claims: Claims<Claim>) => void
const put = (address: number, client: string, number?: number): Step => claims => { claims.put(number === undefined ? { address, client } : { address, client, number }) }
const drop = (address: number): Step => claims => { claims.delete(address) }
const clear: Step = claims => { claims.clear() }
const after = (...steps: readonly Step[]): Claims<Claim> => {
  const claims = new Claims<Claim>()
  for (const step of steps) step(claims)
  return claims
}
/** Each client's addresses, then each address's client. */
const told = (claims: Claims<Claim>): string => [
  ...['a', 'b'].flatMap(client => claims.has(client) ? [`${client}: ${claims.of(client).map(({ address }) => address).sort().join(' ')}`] : []),
  ...[1, 2, 3].flatMap(address => { const claim = claims.at(address); return claim === undefined ? [] : [`${address}: ${claim.client}`] })
].join(', ')

describe('claims', () => {
  it.each<readonly [string, string, readonly Step[]]>([
    ['none', '', []],
    ['one', 'a: 1, 1: a', [put(1, 'a')]],
    ['several of one client', 'a: 1 2 3, 1: a, 2: a, 3: a', [put(1, 'a'), put(2, 'a'), put(3, 'a')]],
    ['one over another client\'s only one', 'b: 1, 1: b', [put(1, 'a'), put(1, 'b')]],
    ['one over one of another client\'s', 'a: 2, b: 1, 1: b, 2: a', [put(1, 'a'), put(2, 'a'), put(1, 'b')]],
    ['one over another client\'s, by one who has some', 'b: 1 2, 1: b, 2: b', [put(2, 'b'), put(1, 'a'), put(1, 'b')]],
    ['there and back', 'a: 1, 1: a', [put(1, 'a'), put(1, 'b'), put(1, 'a')]],
    ['the same twice', 'a: 1, 1: a', [put(1, 'a'), put(1, 'a')]],
    ['the same twice, beside another', 'a: 1 2, 1: a, 2: a', [put(1, 'a'), put(2, 'a'), put(1, 'a')]],
    ['the only one deleted', '', [put(1, 'a'), drop(1)]],
    ['one of several deleted', 'a: 2, 2: a', [put(1, 'a'), put(2, 'a'), drop(1)]],
    ['deleted after it changed hands', 'a: 2, 2: a', [put(1, 'a'), put(2, 'a'), put(1, 'b'), drop(1)]],
    ['deleted twice, and what never was', 'a: 2, 2: a', [put(1, 'a'), put(2, 'a'), drop(1), drop(1), drop(3)]],
    ['cleared', '', [put(1, 'a'), put(2, 'a'), put(3, 'b'), clear]],
    ['one after all were cleared', 'b: 1, 1: b', [put(1, 'a'), put(2, 'a'), clear, put(1, 'b')]]
  ])('%s', (_case, expected, steps) => { expect(told(after(...steps))).toBe(expected) })

  it('what was put last at an address is what both indexes give', () => {
    const claims = after(put(1, 'a', 7), put(2, 'a', 8), put(1, 'a', 9))
    expect([claims.at(1)?.number, claims.of('a').map(({ address, number }) => [address, number])]).toEqual([9, [[2, 8], [1, 9]]])
  })
  it('a list that was given does not change under whoever walks it', () => {
    const claims = after(put(1, 'a'), put(2, 'a'))
    for (const { address } of claims.of('a')) claims.delete(address)
    expect(told(claims)).toBe('')
  })
  it('any steps give what one map from address to claim would', () => {
    const step = fc.oneof(
      { weight: 6, arbitrary: fc.tuple(fc.integer({ min: 1, max: 5 }), fc.constantFrom('a', 'b', 'c')).map(([address, client]) => ({ address, client })) },
      { weight: 3, arbitrary: fc.integer({ min: 1, max: 5 }).map(address => ({ address, client: undefined })) },
      { weight: 1, arbitrary: fc.constant({ address: undefined, client: undefined }) }
    )
    fc.assert(fc.property(fc.array(step, { maxLength: 40, size: 'max' }), steps => {
      const claims = new Claims<Claim>()
      const model = new Map<number, Claim>()
      steps.forEach(({ address, client }, number) => {
        if (address === undefined) { claims.clear(); model.clear() }
        else if (client === undefined) { claims.delete(address); model.delete(address) }
        else { const claim = { address, client, number }; claims.put(claim); model.set(address, claim) }
        const numbers = (list: readonly (Claim | undefined)[]) => list.map(claim => claim?.number ?? -1)
        const inOrder = (list: readonly Claim[]) => numbers(list).sort((one, two) => one - two)
        const addresses = [1, 2, 3, 4, 5]
        const clients = ['a', 'b', 'c']
        const expected = { at: numbers(addresses.map(at => model.get(at))), of: clients.map(of => inOrder([...model.values()].filter(claim => claim.client === of))) }
        expect({ at: numbers(addresses.map(at => claims.at(at))), of: clients.map(of => inOrder(claims.of(of))) }).toEqual(expected)
        expect(clients.map(of => claims.has(of))).toEqual(expected.of.map(list => list.length > 0))
      })
    }), { numRuns: 200, seed: 1 })
  })
})
