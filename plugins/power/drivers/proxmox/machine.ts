/** One virtual machine of a cluster, on whichever node it is. */
import { BedplateError } from '../../../../core/errors.ts'
import type { Options } from '../../driver.ts'
import type { PowerActionName, PowerStateName } from '../../manifest.ts'
import { endOf, reach } from '../../reach.ts'
import { list, number, object, text } from '../../connection/json.ts'
import type { Api } from './session.ts'
import { keepOrder, orderFor, putBack, type Change } from './boot.ts'
import { stateOf, type Config } from './guest.ts'

/** A virtual machine as the cluster lists it. */
export interface Listed { readonly vmid: number, readonly node: string, readonly name: string }

/** All virtual machines the credentials may see; no containers, and no templates. */
export async function machines (api: Api): Promise<readonly Listed[]> {
  const all = list(await api.ask('GET', '/cluster/resources?type=vm')).map(object).flatMap(one => {
    const [vmid, node] = [number(one.vmid), text(one.node)]
    return one.type !== 'qemu' || one.template === 1 || vmid === undefined || node === undefined ? [] : [{ vmid, node, name: text(one.name) ?? `vm-${vmid}` }]
  })
  for (const { vmid, node } of all) api.nodes.set(vmid, node)
  return all
}

export interface Machine {
  state(): Promise<PowerStateName>
  config(): Promise<Config>
  /** Starts it, from this device if one is named, or stops it; resolves once that is seen. */
  switch(action: 'on' | 'off' | 'shutdown', boot: 'network' | 'disk' | null): Promise<void>
  /** Puts a boot order back that was meant for one start. */
  settle(): Promise<void>
}

export function machineOf (api: Api, vmid: number, node: string | undefined, options: Options): Machine {
  const find = async (): Promise<string> => {
    const found = (await machines(api)).find(one => one.vmid === vmid)
    if (found === undefined) throw new BedplateError('POWER_REFUSED', { reason: `there is no virtual machine ${vmid}, or these credentials may not see it` })
    return found.node
  }
  const at = async (): Promise<string> => `/nodes/${encodeURIComponent(api.nodes.get(vmid) ?? node ?? await find())}/qemu/${vmid}`
  /** Where it was may be where it no longer is: then it is looked for, once. */
  const read = async (what: string): Promise<unknown> => {
    try { return await api.ask('GET', `${await at()}/${what}`) } catch (error) {
      if (!(error instanceof BedplateError) || error.details.gone !== true) throw error
      await find()
      return await api.ask('GET', `${await at()}/${what}`)
    }
  }
  const state = async () => stateOf(await read('status/current'))
  const config = async () => object(await read('config'))
  const change = async (what: Change) => { await api.ask('PUT', `${await at()}/config`, what) }

  const settle = async () => {
    const back = putBack(await config())
    if (back !== undefined) await change(back)
  }
  const bootOnce = async (boot: 'network' | 'disk') => {
    const now = await config()
    const order = orderFor(now, boot)
    if (order === now.boot) return
    await change({ ...keepOrder(now), ...(text(now.digest) === undefined ? {} : { digest: text(now.digest) ?? '' }) }) // first, by itself: a note too much does no harm, an order without a note stays
    await change({ boot: order })
  }

  return {
    state, config, settle,
    async switch (action, boot) {
      if (action === 'on') await settle() // a note from before, by whoever died
      if (boot !== null) await bootOnce(boot)
      const task = text(await api.ask('POST', `${await at()}/status/${action === 'on' ? 'start' : action === 'off' ? 'stop' : 'shutdown'}`, action === 'shutdown' ? { timeout: Math.max(1, Math.ceil(options.pace.shutdown / 1000)) } : {}))
      if (task !== undefined) await finished(api, task, action, options)
      await reach(state, action, options)
      if (boot !== null) await settle()
    }
  }
}

/** Waits for a task (`UPID:node:…`) to end. POWER_FAILED with its own words when it went wrong; one that goes on for longer than the action may take is left to itself. */
async function finished (api: Api, task: string, action: PowerActionName, { clock, pace, signal }: Options): Promise<void> {
  const end = clock.monotonic() + (action === 'shutdown' ? pace.shutdown : pace.settle)
  const node = task.split(':')[1] ?? ''
  for (;;) {
    const { status, exitstatus } = object(await api.ask('GET', `/nodes/${encodeURIComponent(node)}/tasks/${encodeURIComponent(task)}/status`))
    if (status === 'stopped') {
      const how = text(exitstatus) ?? 'without a word'
      if (how !== 'OK' && !how.startsWith('WARNINGS')) throw new BedplateError('POWER_FAILED', { action, reason: `its task ended: ${how.slice(0, 300)}` })
      return
    }
    if (clock.monotonic() >= end) return
    await clock.sleep(pace.poll, signal)
    if (signal.aborted) throw new BedplateError('POWER_FAILED', { action, reason: `there was no time left to see the machine ${endOf(action)}; its task still runs` })
  }
}
