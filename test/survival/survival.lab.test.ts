/** The part of the survival run that every change goes through: one moment, one fault. `npm run survive` is the whole. */
import { join } from 'node:path'
import { afterAll, expect, it } from 'vitest'
import { labImage } from '../lab/image.ts'
import { ensurePackages, packages } from '../lab/packages.ts'
import { faults } from './fault.ts'
import { points } from './point.ts'
import { cache, ready } from './ready.ts'
import { runCell } from './run.ts'
import { clean, type Remains } from './world.ts'

const said: string[] = []
const say = (line: string): void => { said.push(line) }
const remains: Remains = { undo: [] }
afterAll(async () => { await clean(remains, say) })

// The installer reads its system over iSCSI from the rack that is killed, and tells the one that is left how it ended: most of the means have to work.
it('a machine that is being installed ends Deployed although the rack it reads its root from is killed', async () => {
  const [point, fault] = [points.find(({ name }) => name === 'install'), faults.find(({ name }) => name === 'kill')]
  if (point === undefined || fault === undefined) expect.unreachable('there is such a cell')
  await ensurePackages([...packages.network, ...packages.machines, 'curl', 'tcpdump'], say)
  const from = await ready({ image: await labImage(say), firmware: 'uefi', anew: true, folder: join(cache, 'ready-for-the-test'), remains, say, hear: say })
  const outcome = await runCell({ point, fault, root: point.root, firmware: 'uefi', from, remains, say })
  expect(outcome, said.slice(-60).join('\n')).toMatchObject({ kept: true, restarts: 0 })
})
