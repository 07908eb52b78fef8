/** What every plugin promises: a manifest that does nothing, a README with the fixed sections, halves that start and stop cleanly. */
import { execFile } from 'node:child_process'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { describe, expect, test } from 'vitest'
import { definePlugin } from '../../../core/plugin.ts'
import type { Plugin, Service, Term } from '../../../core/plugin.ts'
import { startDaemon } from '../daemon.ts'
import type { DaemonOptions } from '../daemon.ts'
import { nothingLeft, resources } from '../leaks.ts'
import { expectHealth, onPurpose } from './service.ts'

export interface PluginConformance extends Omit<DaemonOptions, 'plugins'> {
  /** The other plugins it requires, in order. */
  readonly besides?: readonly Plugin[]
  readonly callers?: number // default 10
  readonly turns?: number // default 50
}

const root = join(import.meta.dirname, '../../..')
const sections = ['what it does', 'configuration', 'how it works', 'ports', 'limits']

/** Registers the suite. */
export function pluginConformance (plugin: Plugin, { besides = [], callers = 10, turns = 50, ...daemon }: PluginConformance = {}): void {
  const { name } = plugin.manifest
  describe(`${name} keeps the contract of a plugin`, () => {
    test('its README has the fixed sections', async () => {
      const text = (await readFile(join(root, 'plugins', name, 'README.md'), 'utf8')).toLowerCase()
      for (const section of sections) expect(text).toContain(`## ${section}`)
    })

    test('importing its manifest does nothing: no output, and the process ends by itself at once', async () => {
      const script = `const before = process.getActiveResourcesInfo().length; await import(${JSON.stringify(join(root, 'plugins', name, 'manifest.ts'))}); const left = process.getActiveResourcesInfo().length - before; process.stdout.write(String(left))` // standard output is a resource itself once it is touched
      const { stdout, stderr } = await promisify(execFile)(process.execPath, ['--input-type=module', '--eval', script], { timeout: 15_000 })
      expect({ stdout, stderr }).toEqual({ stdout: '0', stderr: '' })
    })

    test('every field of its configuration is described', () => {
      for (const [field, schema] of Object.entries(plugin.manifest.config.properties)) expect((schema as { description?: string }).description, `${name}.${field}`).toBeTruthy()
    })

    test('starts with a controller, stops with it, and leaves nothing; again, too', async () => {
      let before: ReturnType<typeof resources> | undefined
      for (let round = 0; round < 2; round++) {
        const one = await startDaemon({ ...daemon, plugins: [...besides, plugin] })
        expect(one.kernel.status().notReady).toEqual([])
        for (const service of one.kernel.status().services) if (service.state !== 'running') expect(service.reason?.trim(), `${service.plugin}/${service.service} is ${service.state}`).toBeTruthy()
        await Promise.all([one.stop(), one.kernel.stop()])
        if (before === undefined) before = resources() // after the first round: what modules load once is there
        else await nothingLeft(before)
      }
    }, 60_000)

    test(`each of its services may be started and stopped by ${callers} callers ${turns} times each`, async () => {
      const services: Service[] = []
      const one = await startDaemon({ ...daemon, plugins: [...besides, withoutServices(plugin, services)] })
      try {
        const { db } = one.kernel
        const term: Term = { number: 1n, valid: () => true, signal: new AbortController().signal, write: work => db === undefined ? Promise.reject(new Error('a leader service on a rack')) : db.tx(work) }
        const start = (service: Service) => onPurpose(service.on === 'leader' ? service.start(new AbortController().signal, term) : service.start(new AbortController().signal))
        for (const service of services) {
          expectHealth(service.health())
          const caller = async (which: number): Promise<void> => {
            for (let turn = 0; turn < turns; turn++) {
              if ((turn + which) % 2 === 0) await start(service)
              else await service.stop()
              expectHealth(service.health())
            }
          }
          await Promise.all(Array.from({ length: callers }, (_, which) => caller(which)))
          await service.stop()
          expect(service.health().state, `${service.name} after it was stopped`).not.toBe('running')
          await start(service)
          await service.stop()
        }
      } finally { await one.stop() }
    }, 60_000)
  })
}

/** The plugin with its services taken out and put into `taken`: the test drives them instead of the supervisor. */
function withoutServices (plugin: Plugin, taken: Service[]): Plugin {
  const { manifest, region, rack } = plugin
  const take = <R extends { readonly services: readonly Service[] }>(running: R): R => { taken.push(...running.services); return { ...running, services: [] } }
  return definePlugin({
    manifest,
    ...(region === undefined ? {} : { region: async () => { const half = await region(); return { ...half, setup: context => take(half.setup(context)) } } }),
    ...(rack === undefined ? {} : { rack: async () => { const half = await rack(); return { ...half, setup: context => take(half.setup(context)) } } })
  })
}
