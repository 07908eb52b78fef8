/** Ours, alone in a process: the driver asks BMCs for their power state, as a rack does, and tells what that cost it. Its plan comes as JSON in the first argument; what it found goes out as one line of JSON. */
import { systemClock } from '../../core/clock.ts'
import { pace } from '../../plugins/power/driver.ts'
import { ipmi } from '../../plugins/power/drivers/ipmi.ts'
import { createKept } from '../../plugins/power/kept.ts'
import { checked } from '../../plugins/power/parameters.ts'

/** `kept`: whether the sessions of the round before are used again; the first round, which opens them, is not measured then. */
export interface PollPlan { readonly hosts: readonly string[], readonly port: number, readonly user: string, readonly password: string, readonly cipher: string, readonly rounds: number, readonly kept: boolean, readonly atOnce: number }
export interface Polled { readonly polls: number, readonly failed: number, readonly cpu: number /* s */, readonly wall: number /* s */, readonly why: string }

const plan = JSON.parse(process.argv[2] ?? '{}') as PollPlan
const targets = plan.hosts.map(host => checked(ipmi, { address: `ipmi://${host}:${plan.port}`, user: plan.user, password: plan.password, cipher: plan.cipher }))
let kept = createKept()
let failed = 0
let why = ''

async function round (): Promise<void> {
  let next = 0
  const options = { signal: new AbortController().signal, clock: systemClock, pace, kept }
  const ask = async (): Promise<void> => {
    for (let parameters = targets[next++]; parameters !== undefined; parameters = targets[next++]) {
      await ipmi.query(parameters, options).then(state => { if (state !== 'on' && state !== 'off') { failed++; why = state } }, (error: unknown) => { failed++; why = String(error) })
    }
  }
  await Promise.all(Array.from({ length: plan.atOnce }, ask))
}

if (plan.kept) await round()
failed = 0
const [cpu, began] = [process.cpuUsage(), performance.now()]
for (let n = 0; n < plan.rounds; n++) {
  if (!plan.kept) { await kept.close(); kept = createKept() }
  await round()
}
const used = process.cpuUsage(cpu)
process.stdout.write(`${JSON.stringify({ polls: targets.length * plan.rounds, failed, cpu: (used.user + used.system) / 1e6, wall: (performance.now() - began) / 1000, why } satisfies Polled)}\n`)
await kept.close()
process.exit(0)
