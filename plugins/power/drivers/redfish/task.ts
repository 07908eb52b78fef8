/** Work a BMC goes on with after its answer: 202 and a task monitor (DSP0266 clause 7.14), or a Task (DSP0268). */
import { BedplateError } from '../../../../core/errors.ts'
import type { Answer } from '../../connection/connection.ts'
import { object, pathOf, text, type Json } from '../../connection/json.ts'
import { explanation } from './said.ts'
import type { Service } from './service.ts'

export type Progress = { readonly ended: false } | { readonly ended: true, readonly failure?: string }

/** Where to ask how it goes; undefined when the answer was the end of it. */
export const monitorOf = ({ status, headers, body }: Pick<Answer, 'status' | 'headers' | 'body'>): string | undefined =>
  status === 202 ? pathOf(headers.location) ?? pathOf(body.TaskMonitor) ?? pathOf(body['@odata.id']) : undefined

const going = new Set(['New', 'Starting', 'Running', 'Pending', 'Suspended', 'Service', 'Stopping', 'Interrupted', 'Cancelling'])
/** What a monitor's answer means. A Task tells by its state; else the status does: 202 while it goes on, an error once it failed. A monitor that is gone has ended: BMCs forget them soon. Pure. */
export function progressOf (status: number, body: Json): Progress {
  if (status === 404 || status === 410) return { ended: true }
  if (status >= 400) return { ended: true, failure: `HTTP ${status}${explanation(body)}` }
  const state = text(body.TaskState)
  if (state !== undefined && going.has(state)) return { ended: false }
  if (state === undefined) return status === 202 ? { ended: false } : { ended: true }
  const well = state === 'Completed' && text(body.TaskStatus) !== 'Critical'
  return well ? { ended: true } : { ended: true, failure: `the BMC's task ended as ${state}${explanation(body)}` }
}

/** Asks once. */
export async function progress (service: Service, monitor: string): Promise<Progress> {
  const { status, body } = await service.request('GET', monitor, { allow: [400, 404, 405, 406, 409, 410, 412, 422, 500, 501, 502, 503] })
  return status === 503 ? { ended: false } : progressOf(status, object(body))
}

/** Waits until what the answer began has ended, at most as long as a shutdown may take. POWER_FAILED, in the BMC's words, when it failed. */
export async function finished (service: Service, answer: Answer, action: string): Promise<void> {
  const monitor = monitorOf(answer)
  if (monitor === undefined) return
  const { clock, pace, signal } = service.options
  const end = clock.monotonic() + pace.shutdown
  for (;;) {
    const now = await progress(service, monitor)
    if (now.ended && now.failure !== undefined) throw new BedplateError('POWER_FAILED', { action, reason: now.failure })
    if (now.ended) return
    if (clock.monotonic() >= end) throw new BedplateError('POWER_FAILED', { action, reason: `the BMC began it, and its task still goes on after ${Math.round(pace.shutdown / 1000)} s` })
    await clock.sleep(pace.poll, signal)
    if (signal.aborted) throw new BedplateError('POWER_FAILED', { action, reason: 'there was no time left to see the BMC\'s task end' })
  }
}
