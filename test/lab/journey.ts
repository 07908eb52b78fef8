/** One machine's way from power-off to an SSH login, through the admin API, with every stage timed. */
import { setTimeout as delay } from 'node:timers/promises'
import { BedplateError, reasonOf } from '../../core/errors.ts'
import type { Lab, LabMachine } from './lab.ts'
import { sshInto } from './ssh.ts'

export type Stage = 'enlisting' | 'commissioning' | 'allocating' | 'deploying' | 'login'
export interface Journey { readonly name: string, readonly firmware: string, state: string, stages: { stage: Stage, seconds: number }[], os: string, address: string, failure?: string, found?: string }
interface MachineView { readonly id: string, readonly hostname: string, readonly status: string, readonly reason: string | null, readonly hostKeys: readonly string[], readonly interfaces: readonly { readonly mac: string }[] }
interface EventView { readonly id: string | number, readonly type: string, readonly level: string, readonly message: string, readonly data?: { readonly done?: number, readonly total?: number, readonly bytes?: number } | null }
export interface Step { readonly machine: LabMachine, readonly stage: Stage, readonly status: string, readonly detail: string, readonly bytes: number, readonly id: string }
const patience: Record<Stage, number> = { enlisting: 600, commissioning: 900, allocating: 30, deploying: 1500, login: 120 } // seconds; Bedplate's own deadlines come first

/** Never rejects: what went wrong is in `failure`, with the stage that failed last in `stages`. `step` hears of everything that happens. */
export async function travel (lab: Lab, machine: LabMachine, step: (step: Step) => void): Promise<Journey> {
  const journey: Journey = { name: machine.name, firmware: machine.firmware, state: 'off', stages: [], os: '', address: '' }
  let id = ''
  let lastEvent = ''
  let bytes = 0
  const view = async () => {
    const { items } = await lab.api.get<{ items: MachineView[] }>(`/api/v1/machines?mac=${encodeURIComponent(machine.mac)}`)
    return items[0]
  }
  async function events (stage: Stage, status: string): Promise<void> {
    const { items } = await lab.api.get<{ items: EventView[] }>(`/api/v1/machines/${id}/events?limit=200${lastEvent === '' ? '' : `&after=${lastEvent}`}`)
    for (const event of items) {
      lastEvent = String(event.id)
      bytes = event.data?.done ?? (event.data?.bytes ?? 0) + (event.data?.done === undefined ? bytes : 0)
      step({ machine, stage, status, detail: event.message, bytes, id })
    }
  }
  /** Waits until the machine has one of the states; a Failed or Broken one is an error with its reason. */
  async function arrive (stage: Stage, wanted: string): Promise<void> {
    const end = performance.now() + patience[stage] * 1000
    let seen = 'unknown to Bedplate'
    while (performance.now() < end) {
      try {
        const found = await view()
        if (found) {
          id = found.id
          if (found.status !== seen) { seen = found.status; step({ machine, stage, status: seen, detail: found.reason ?? '', bytes, id }) }
          journey.state = found.status
          await events(stage, found.status)
          if (found.status === wanted) return
          if (/^(Failed|Broken)/.test(found.status)) throw new BedplateError('POWER_FAILED', { action: stage, reason: `${found.status}: ${found.reason ?? 'no reason given'}` })
        }
      } catch (error) {
        if (error instanceof BedplateError && error.code === 'POWER_FAILED') throw new BedplateError('CONFLICT', { reason: reasonOf(error).replace(/^Power \w+ failed: /, '') })
        // the region may be down for a moment: that is what some of these journeys are about
      }
      await delay(1000)
    }
    throw new BedplateError('CONFLICT', { reason: `still ${seen} after ${patience[stage]} s, wanted ${wanted}` })
  }
  async function stage (name: Stage, work: () => Promise<void>): Promise<void> {
    const begin = performance.now()
    bytes = 0
    step({ machine, stage: name, status: journey.state, detail: '', bytes, id })
    try { await work() } finally { journey.stages.push({ stage: name, seconds: Math.round((performance.now() - begin) / 100) / 10 }) }
  }
  const act = (verb: string, body: unknown = {}) => lab.api.send('POST', `/api/v1/machines/${id}/${verb}`, body)

  try {
    await stage('enlisting', async () => {
      await lab.pressPower(machine)
      await arrive('enlisting', 'New')
      await lab.api.send('PUT', `/api/v1/machines/${id}/power`, { address: machine.bmc, parameters: {} })
      await lab.api.send('PATCH', `/api/v1/machines/${id}`, { hostname: machine.name })
    })
    await stage('commissioning', async () => { await act('commission'); await arrive('commissioning', 'Ready') })
    await stage('allocating', async () => { await act('allocate'); await arrive('allocating', 'Allocated') })
    await stage('deploying', async () => { await act('deploy', { image: 'debian-12', sshKeys: [lab.key.publicKey] }); await arrive('deploying', 'Deployed') })
    await stage('login', async () => {
      const found = await view()
      const { items } = await lab.api.get<{ items: { address: string }[] }>(`/api/v1/network/addresses?owner=${id}`)
      journey.address = items[0]?.address ?? ''
      const out = await sshInto({ namespace: lab.namespace, directory: lab.directory, privateFile: lab.key.privateFile, user: 'debian', address: journey.address, hostKeys: found?.hostKeys ?? [], seconds: patience.login, command: '. /etc/os-release; echo "$PRETTY_NAME"; hostname; uname -r; id -un; nproc; df -h / | tail -n 1; [ -d /sys/firmware/efi ] && echo UEFI || echo BIOS' })
      journey.found = out.trim()
      journey.os = out.split('\n')[0] ?? ''
    })
    step({ machine, stage: 'login', status: journey.state, detail: `done in ${Math.round(journey.stages.reduce((sum, { seconds }) => sum + seconds, 0))} s`, bytes, id })
  } catch (error) {
    journey.failure = reasonOf(error)
    step({ machine, stage: journey.stages.at(-1)?.stage ?? 'enlisting', status: journey.state, detail: journey.failure, bytes, id })
  }
  return journey
}
