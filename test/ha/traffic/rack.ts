/** Reports and calls at a steady pace, remembers on disk what it was promised, and tells how it fares. */
import { randomUUID } from 'node:crypto'
import { appendFileSync } from 'node:fs'
import { join } from 'node:path'
import { reasonOf } from '../../../core/errors.ts'
import { off, running } from '../../../core/health.ts'
import { defineRack } from '../../../core/plugin.ts'
import { manifest } from './manifest.ts'

/** What GET /traffic on the rack's port answers. Times are ms since the epoch. */
export interface Fares {
  readonly life: string
  readonly reported: number
  readonly calls: { readonly made: number, readonly answered: number, readonly failed: number, readonly open: number }
  /** Start of the last call that was answered, and of the last that failed. */
  readonly lastAnswered: number
  readonly lastFailed: number
  readonly lastFailure: string
  /** Regions this rack is linked to. */
  readonly regions: readonly string[]
}

/** Lines `<life> <seq>` or `<life> answered <seq>`: facts whose report() had returned, and calls that were answered. */
export const ledger = 'traffic.log'

export default defineRack(manifest, {
  requires: {},
  provides: {},
  setup ({ config, region, report, hooks, clock, controller }) {
    const life = randomUUID()
    const path = join(controller.dataDirectory, ledger)
    const linked = new Set<string>()
    const fares = { reported: 0, made: 0, answered: 0, failed: 0, lastAnswered: 0, lastFailed: 0, lastFailure: '' }
    let work: { readonly stop: AbortController, readonly done: Promise<unknown> } | undefined
    hooks.link.tap('traffic', ({ controller: id, up }) => { if (up) linked.add(id); else linked.delete(id) })

    async function facts (signal: AbortSignal): Promise<void> {
      while (!signal.aborted) {
        const seq = fares.reported + 1
        report('count', { life, seq })
        fares.reported = seq
        appendFileSync(path, `${life} ${seq}\n`) // what the kernel has taken outlives the process
        await clock.sleep(config.factEvery, signal)
      }
    }
    async function call (): Promise<void> {
      const seq = ++fares.made
      const begun = Date.now()
      try {
        await region.note({ life, seq })
        appendFileSync(path, `${life} answered ${seq}\n`)
        fares.answered++
        fares.lastAnswered = Math.max(fares.lastAnswered, begun)
      } catch (error) {
        fares.failed++
        fares.lastFailed = Math.max(fares.lastFailed, begun)
        fares.lastFailure = reasonOf(error)
      }
    }
    async function calls (signal: AbortSignal): Promise<void> {
      while (!signal.aborted) {
        void call()
        await clock.sleep(config.callEvery, signal)
      }
    }

    return {
      provides: {},
      rpc: {},
      services: [{
        name: 'traffic',
        async start () {
          if (work !== undefined) return
          const stop = new AbortController()
          work = { stop, done: Promise.all([facts(stop.signal), calls(stop.signal)]) }
        },
        async stop () { const ending = work; work = undefined; ending?.stop.abort(); await ending?.done },
        health: () => work === undefined ? off('not started') : running
      }],
      async routes (app) {
        app.get('/', async (): Promise<Fares> => {
          const { reported, made, answered, failed, ...rest } = fares
          return { life, reported, calls: { made, answered, failed, open: made - answered - failed }, ...rest, regions: [...linked] }
        })
      }
    }
  }
})
