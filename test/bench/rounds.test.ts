/** The order of the runs, and what a case that breaks costs. */
import { expect, it } from 'vitest'
import type { Area, Case } from '../../bench/area.ts'
import { runArea } from '../../bench/rounds.ts'

const told: string[] = []
const one = (name: string, peer: number | 'peer', breaks = false): Case<undefined> => ({
  name, peerName: 'Other', unit: 'runs', better: 'higher', required: 1, conditions: '',
  async prepare () {
    if (breaks) throw new TypeError('it did not start')
    return {
      async ours (round: number) { told.push(`${name} ours ${round}`); return { value: 4 } },
      peer: peer === 'peer' ? async (round: number) => { told.push(`${name} peer ${round}`); return { value: 2 } } : peer,
      async end () { told.push(`${name} end`) }
    }
  }
})
const area = (...cases: Case<undefined>[]): Area<undefined> => ({ name: 'area', packages: [], cases, open: async () => { told.push('open'); return undefined }, close: async () => { told.push('close') }, versions: async () => [] })
const options = (only: string[] = []) => ({ rounds: 2, only, say: () => {}, signal: new AbortController().signal })

it('runs ours and the peer in turn, and closes the place', async () => {
  told.length = 0
  const rows = await runArea(area(one('a', 'peer'), one('b', 8)), options())
  expect(told).toEqual(['open', 'a peer 0', 'a ours 0', 'a peer 1', 'a ours 1', 'a end', 'b ours 0', 'b ours 1', 'b end', 'close'])
  expect(rows).toMatchObject([{ case: 'a', ratio: 2, ratios: [2, 2] }, { case: 'b', ratio: 0.5 }])
})
it('a case that breaks costs its own row, and only those asked for are run', async () => {
  told.length = 0
  expect(await runArea(area(one('a', 'peer', true), one('b', 8)), options())).toMatchObject([{ case: 'a', faults: ['it did not start'] }, { case: 'b', faults: [] }])
  expect((await runArea(area(one('a', 'peer'), one('b', 8)), options(['b']))).map(row => row.case)).toEqual(['b'])
})
