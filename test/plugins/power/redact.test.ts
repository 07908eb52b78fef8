import { expect, test } from 'vitest'
import { brief, redact } from '../../../plugins/power/redact.ts'

test('what was said is shortened between two words, so that no beginning of a secret is left', () => {
  const secret = 'correct-horse-battery'
  for (let before = 270; before <= 310; before++) {
    const told = redact(brief(`${'x'.repeat(before - 1)} ${secret} and more`), [secret])
    expect(told.length).toBeLessThanOrEqual(300)
    expect(told, String(before)).not.toContain('correct')
  }
})

test.each([
  ['as it is', 'no', 'no'],
  ['of just 300 characters', `${'a '.repeat(149)}bb`, `${'a '.repeat(149)}bb`],
  ['one word longer than that', 'y'.repeat(301), ''],
  ['without the space at its end', `${'z'.repeat(299)} w ww`, 'z'.repeat(299)]
])('what was said is told: %s', (_, said, told) => { expect(brief(said)).toBe(told) })
