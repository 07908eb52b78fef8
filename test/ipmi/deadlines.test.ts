/** Deadlines on one timer: none is lost. */
import { test } from 'vitest'
import { createDeadlines } from '../../ipmi/deadlines.ts'

test('a deadline that is over already, asked for while another one runs, still comes', async () => {
  const deadlines = createDeadlines()
  await new Promise<void>(resolve => { deadlines.after(5, () => { deadlines.after(-100, resolve) }) })
  deadlines.clear()
})
