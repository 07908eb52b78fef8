/** postmaster.pid: what it says, and whose process it names. */
import { describe, expect, test } from 'vitest'
import { parsePostmaster, serves } from '../../core/database/postmaster.ts'

describe('postmaster.pid', () => {
  const text = '4711\n/data/postgresql\n1795000000\n5432\n/run/x\n\n  1234   5\nready   \n'
  test('is read line by line', () => {
    expect(parsePostmaster(text)).toEqual({ pid: 4711, data: '/data/postgresql', port: 5432, socketDirectory: '/run/x', status: 'ready' })
  })
  test.each(['', '\n', '4711', '1\n/d\n1\n5432\n/s\n', '-4711\n/d\n1\n5432\n/s\n', 'x\n/d\n1\n5432\n/s\n', '4711\n/d\n1\nx\n/s\n', '4711\n\n1\n5432\n/s\n'])('%j is none', broken => {
    expect(parsePostmaster(broken)).toBeUndefined()
  })
  test('of this process is no server\'s', async () => {
    expect(await serves(process.pid, '/nowhere')).toBe(false)
    expect(await serves(2 ** 30, '/nowhere')).toBe(false)
  })
})

