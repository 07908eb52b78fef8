/** Clients that watch the clock, in a process of their own in their namespace: arriving ones, and one that extends its lease over and over. */
import { once } from 'node:events'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { BedplateError } from '../../core/errors.ts'
import type { Order, Report } from './client-process.ts'
import type { Host } from './segment.ts'

export interface Clients {
  /** ms on the clock that all processes of the machine share. */
  now(): number
  wait(ms: number): Promise<void>
  report(): Promise<{ readonly acks: readonly number[], readonly waits: readonly number[], readonly unanswered: number }>
  /** When the first ACK with this router came. Rejects when none comes within `timeout` ms. */
  seen(router: string, timeout: number): Promise<number>
  stop(): Promise<void>
}

export const now = (): number => Number(process.hrtime.bigint()) / 1e6

export function startClients (host: Host, order: Order): Clients {
  const child = host.namespace.node(join(import.meta.dirname, 'client-process.ts'))
  const routers = new Map<string, number>()
  let heard: (() => void) | undefined
  let reported: ((report: Extract<Report, { t: 'report' }>) => void) | undefined
  child.on('message', (report: Report) => {
    if (report.t === 'report') { reported?.(report); return }
    routers.set(report.router, report.at)
    heard?.()
  })
  child.send(order)
  return {
    now, wait: async ms => { await sleep(ms) },
    report: () => new Promise(resolve => { reported = resolve; child.send({ t: 'report' } satisfies Order) }),
    async seen (router, timeout) {
      const end = now() + timeout
      for (;;) {
        const at = routers.get(router)
        if (at !== undefined) { routers.delete(router); return at }
        if (now() > end) throw new BedplateError('UNAVAILABLE', { reason: `no ACK said router ${router} within ${timeout / 1000} s` })
        await Promise.race([new Promise<void>(resolve => { heard = resolve }), sleep(100)])
      }
    },
    async stop () {
      if (child.exitCode !== null || child.signalCode !== null) return
      child.kill('SIGKILL')
      await once(child, 'exit')
    }
  }
}
