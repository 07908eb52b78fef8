/** What a region hands to one that joins, and what it does not. */
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { BedplateError } from '../../core/errors.ts'
import { needsOf, onlyHere } from '../../core/rpc/needs.ts'

const secretKey = 'ab'.repeat(32)
const database = { hosts: ['one.example', 'two.example:5433'], name: 'n', user: 'u', password: 'p' }

describe('a database host that is of use on one host only', () => {
  test.each(['localhost', 'LOCALHOST:5432', 'localhost.localdomain', '127.0.0.1', '127.1.2.3:5432', '::1', '[::1]', '[::1]:5432', '::ffff:127.0.0.1', '/var/run/postgresql', '0.0.0.0:5432', '::', '*', ''])('%j is one', host => { expect(onlyHere(host)).toBe(true) })
  test.each(['one.example', 'one.example:5432', '10.0.0.1', '10.127.0.0:5432', 'fd00::1', '[fd00::1]:5432', 'localhosts.example', 'my-localhost'])('%j is none', host => { expect(onlyHere(host)).toBe(false) })
  test('any text is answered', () => { fc.assert(fc.property(fc.string(), host => typeof onlyHere(host) === 'boolean'), { numRuns: 500 }) })
})

describe('what a region needs', () => {
  const refusal = (work: () => unknown): string => { try { work() } catch (error) { if (error instanceof BedplateError && error.code === 'ENROLMENT_REFUSED') return error.message; throw error } return '' }
  test('is the database as it is, and the key', () => { expect(needsOf({ database, secretKey }, 'a', undefined)).toEqual({ database, secretKey }) })
  test('names the hosts the new region was told, whatever those are', () => {
    expect(needsOf({ database, secretKey }, 'a', ['three.example']).database.hosts).toEqual(['three.example'])
    expect(needsOf({ database: { ...database, hosts: ['localhost'] }, secretKey }, 'a', ['/run/tunnel']).database.hosts).toEqual(['/run/tunnel'])
  })
  test('is refused with the setting and the hosts that are of no use', () => {
    expect(refusal(() => needsOf({ database: { ...database, hosts: ['localhost', 'one.example', '::1'] }, secretKey }, 'region-a', undefined))).toMatch(/database\.hosts of region-a names localhost, ::1, .*--database-host/)
  })
  test('is refused while the database is embedded, with what to do', () => {
    expect(refusal(() => needsOf({ secretKey }, 'region-a', ['x']))).toMatch(/embedded in region-a, which only that host reaches\. Move it to PostgreSQL servers of your own .*, or set embedded\.listen there/)
  })
  test('names the setting of the embedded database, where that is the one', () => {
    expect(refusal(() => needsOf({ database: { ...database, hosts: ['127.0.0.1:5444'] }, secretKey, embedded: true }, 'a', undefined))).toContain('embedded.listen of a names 127.0.0.1:5444')
    expect(needsOf({ database: { ...database, hosts: ['10.0.0.1'] }, secretKey, embedded: true }, 'a', undefined).database.hosts).toEqual(['10.0.0.1'])
  })
  test('is not given by a region that has nothing to give', () => { expect(refusal(() => needsOf(undefined, 'region-a', undefined))).toContain('cannot let others in') })
})
