/** The journal on a real file: what commit returned from is there after a crash, whole or not at all. */
import { existsSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import fc from 'fast-check'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { changed } from '../../../plugins/dhcp/alone/journal.ts'
import type { JournalChange, JournalLease, JournalState } from '../../../plugins/dhcp/alone/journal.ts'
import { openJournal } from '../../../plugins/dhcp/alone/journal-file.ts'
import { scratch } from '../../kit/scratch.ts'

let directory: string
const damaged: string[] = []
beforeEach(() => { directory = mkdtempSync(join(scratch(), 'bedplate-journal-')); damaged.length = 0 })
afterEach(() => { rmSync(directory, { recursive: true }) })
const open = () => openJournal(directory, reason => { damaged.push(reason) })
const lease = (seq: number, more: Partial<JournalLease> = {}): JournalLease => ({ seq, from: 'reserve', address: `10.0.0.${seq % 250}`, subnet: 's', client: 'c', clientId: null, hostname: 'h', seconds: 600, ends: 1234.5, boot: 'b', ...more })

describe('the journal', () => {
  it('begins empty, with an epoch that stays', () => {
    const first = open()
    const { epoch, ...rest } = first.load()
    expect(rest).toEqual({ last: 0, leases: [], reserve: [], heard: undefined, forgot: [] })
    expect(epoch).toMatch(/^[0-9a-f-]{36}$/)
    expect(open().load().epoch).toBe(epoch)
    first.close()
  })
  it('holds after a crash what every commit had returned from, and goes on with the numbers though all is delivered', () => {
    const heard = { boot: 'b', start: 12.5, standing: '7', autonomySeconds: 3600 }
    const one = open()
    one.commit({ append: [lease(1), lease(2, { from: 'knowledge', clientId: '01aa', hostname: null })], reserve: [{ address: '10.0.0.1', subnet: 's', grant: '5', returning: false }], heard })
    const two = open() // the first is not closed: its process died
    expect(two.load()).toMatchObject({ last: 2, leases: [lease(1), lease(2, { from: 'knowledge', clientId: '01aa', hostname: null })], reserve: [{ address: '10.0.0.1', grant: '5', returning: false }], heard })
    two.commit({ through: 2, reserve: [{ address: '10.0.0.1', subnet: 's', grant: '5', returning: true }] })
    expect(open().load()).toMatchObject({ last: 2, leases: [], reserve: [{ returning: true }] })
    two.close()
    one.close()
  })
  it('takes a change whole or not at all', () => {
    const journal = open()
    journal.commit({ append: [lease(1)] })
    expect(() => { journal.commit({ append: [lease(2), lease(1)], drop: ['10.0.0.1'] }) }).toThrow()
    expect(journal.load().leases.map(({ seq }) => seq)).toEqual([1])
    journal.commit({ append: [lease(2)] })
    expect(journal.load().last).toBe(2)
    journal.close()
  })
  it('that is damaged is put aside, and told; the new one has another epoch', () => {
    const { epoch } = (journal => { const state = journal.load(); journal.close(); return state })(open())
    writeFileSync(join(directory, 'dhcp', 'journal.sqlite'), 'not a database, and long enough to look like one '.repeat(200))
    const journal = open()
    expect(journal.load().epoch).not.toBe(epoch)
    expect(damaged).toHaveLength(1)
    expect(readdirSync(join(directory, 'dhcp')).some(name => name.includes('.damaged-'))).toBe(true)
    journal.close()
  })
  it('needs the data directory to be there', () => {
    expect(() => openJournal(join(directory, 'none'), () => {})).toThrow(/ENOENT/)
    expect(existsSync(join(directory, 'none'))).toBe(false)
  })
  it('does what `changed` says, whatever the order', () => {
    const address = fc.constantFrom('10.0.0.1', '10.0.0.2', '10.0.0.3')
    const change = fc.record({ forgot: fc.array(fc.record({ address, round: fc.constantFrom('3', '4') }), { maxLength: 1 }), append: fc.nat(3), through: fc.option(fc.nat(12), { nil: undefined }), reserve: fc.array(fc.record({ address, subnet: fc.constant('s'), grant: fc.constantFrom('1', '2'), returning: fc.boolean() }), { maxLength: 2 }), drop: fc.array(address, { maxLength: 1 }) }, { requiredKeys: ['forgot', 'append', 'reserve', 'drop'] })
    fc.assert(fc.property(fc.array(change, { maxLength: 8 }), changes => {
      rmSync(join(directory, 'dhcp'), { recursive: true, force: true })
      const journal = open()
      let state: JournalState = journal.load()
      for (const { append, through, reserve, drop, forgot } of changes) {
        const next: JournalChange = { append: Array.from({ length: append }, (_, index) => lease(state.last + index + 1)), reserve, drop, forgot, ...through === undefined ? {} : { through: Math.min(through, state.last + append) } }
        journal.commit(next)
        state = changed(state, next)
      }
      const sorted = (one: JournalState) => ({ ...one, forgot: [...one.forgot ?? []].sort((a, b) => a.address < b.address ? -1 : 1), reserve: [...one.reserve].sort((a, b) => a.address < b.address ? -1 : 1) })
      expect(sorted(journal.load())).toEqual(sorted(state))
      journal.close()
    }), { numRuns: 30 })
  })
})
