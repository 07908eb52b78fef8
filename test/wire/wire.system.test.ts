/** The part of the wire run that every change goes through: two clients, three faults. `npm run wire` is the whole. */
import { afterAll, beforeAll, expect, it } from 'vitest'
import { requirePrograms } from '../kit/network.ts'
import type { Client, Program } from './client.ts'
import { faults } from './fault.ts'
import { settle, suffer } from './run.ts'
import { clean, createWorld, type Remains, type World } from './world.ts'

const programs: readonly Program[] = ['udhcpc', 'networkd']
const remains: Remains = { undo: [] }
let world: World
let steady: readonly Client[]
const said: string[] = []
beforeAll(async () => {
  requirePrograms({ busybox: 'busybox-static', tcpdump: 'tcpdump', '/lib/systemd/systemd-networkd': 'systemd', ss: 'iproute2' })
  world = await createWorld(remains, line => { said.push(line) })
  steady = await settle(world, programs)
}, 240_000)
afterAll(async () => { await clean(remains, line => { said.push(line) }) })

// The faults stand only until new clients have leases: how long addresses are kept is measured by the command. The invariants are checked each time.
it.each(['killed', 'partitioned', 'regions'])('%s: new clients get addresses, and nothing that was acknowledged is lost or given twice', async name => {
  const fault = faults.find(one => one.name === name)
  if (fault === undefined) throw new Error(`there is no ${name}`)
  const outcomes = await suffer({ world, steady, programs, firmware: [], say: line => { said.push(line) } }, fault, true)
  expect(outcomes.map(({ client, newLeaseSeconds }) => [client, newLeaseSeconds !== null]), said.join('\n')).toEqual(programs.map(program => [program, true]))
}, 300_000)
