/** Simulated BMCs, all in this process, each at a loopback address of its own; says when each was asked. Its plan comes as JSON in the first argument; it is asked over IPC. */
import { startBmc } from '../../sim/bmc/bmc.ts'
import { createNothing } from '../../sim/machine/nothing.ts'
import type { Account, Asked } from './bmcs.ts'

const { hosts, port, account: { user, password } } = JSON.parse(process.argv[2] ?? '{}') as { readonly hosts: readonly string[], readonly port: number, readonly account: Account }
const last = new Float64Array(hosts.length) // when each was asked, ms; 0: not yet
let began = performance.now()
let polls = 0
let longest = 0

for (const [index, host] of hosts.entries()) {
  const machine = createNothing({ name: `bmc${index}`, state: index % 2 === 0 ? 'on' : 'off' })
  const { state } = machine
  const asked = (): void => {
    const now = performance.now()
    longest = Math.max(longest, now - Math.max(last[index] ?? 0, began))
    last[index] = now
    polls++
  }
  await startBmc({ host, ipmi: { port }, account: { user, password, privilege: 'administrator' }, machine: { ...machine, state: () => { asked(); return state() } } })
}
process.on('message', message => {
  const now = performance.now()
  if (message === 'begin') { began = now; polls = 0; longest = 0 }
  const unasked = last.filter(at => at < began).length
  const waited = last.reduce((most, at) => Math.max(most, now - Math.max(at, began)), longest)
  process.send?.({ polls, unasked, seen: last.filter(at => at > 0).length, longest: waited / 1000 } satisfies Asked)
})
process.once('disconnect', () => { process.exit(0) })
process.send?.('ready')
