/** The part of the matrix that every change goes through: each kind of firmware and each boot loader once, and what Secure Boot refuses. `npm run test:boot` is the whole. */
import { beforeAll, describe, expect, it } from 'vitest'
import { ensurePackages, packages } from '../lab/packages.ts'
import { judgements } from './judgement.ts'
import { nameOf, plans } from './matrix.ts'
import { runPlan } from './run.ts'

const said: string[] = []
const say = (line: string): void => { said.push(line) }
beforeAll(async () => { await ensurePackages([...packages.network, ...packages.machines, ...packages.firmware], say) })

it.each(['bios/cell/initrd', 'bios-pxelinux/cell/http', 'uefi-http/cell/initrd', 'arm64/cell/http'])('%s', async name => {
  const plan = plans.find(one => nameOf(one) === name)
  if (plan === undefined) throw new Error(`there is no ${name}`)
  expect(await runPlan(plan, { say })).toMatchObject({ row: plan.row.name })
})

describe('Secure Boot, and disks', () => {
  it.each(judgements.filter(({ name }) => ['secure-refuses-ipxe', 'secure-refuses-tampered', 'local-uefi-ipxe'].includes(name)))('$title', ({ run }) => run({ say }))
})
