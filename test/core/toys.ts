/** Small plugins for tests of the kernel, and the options that start them in a folder of their own. */
import { mkdtemp } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Type } from 'typebox'
import { readConfig } from '../../core/config.ts'
import type { KernelOptions } from '../../core/kernel.ts'
import { defineManifest, definePlugin, defineRack, defineRegion, token } from '../../core/plugin.ts'
import type { Plugin, RackRunning, RegionRunning, Service, Token, Tokens } from '../../core/plugin.ts'
import { fakeParts, quiet, traced } from '../kit/parts.ts'

export interface ToyOptions {
  readonly requires?: Tokens
  readonly provides?: Readonly<Record<string, Token<unknown>>>
  readonly roles?: readonly ('region' | 'rack')[]
  readonly region?: Partial<RegionRunning<ReturnType<typeof emptyManifest>, Tokens>>
  readonly rack?: Partial<RackRunning<ReturnType<typeof emptyManifest>, Tokens>>
  readonly services?: readonly Service[]
  readonly setup?: () => void
}

export const emptyManifest = (name: string) => defineManifest({ name, config: Type.Object({ greeting: Type.String({ default: 'hello', description: 'What it says' }) }), rpc: {}, wanted: {}, facts: {} })

/** A plugin whose start, stop and one service per role are noted in `trace`. */
export function toy (name: string, trace: string[] = [], { requires = {}, provides = {}, roles = ['region', 'rack'], region = {}, rack = {}, services, setup }: ToyOptions = {}): Plugin {
  const manifest = emptyManifest(name)
  const base = (role: string) => ({
    provides: Object.fromEntries(Object.keys(provides).map(key => [key, { from: `${name} ${role}` }])),
    rpc: {},
    services: services ?? [traced(`${name}-${role}`, trace)],
    start: async () => { trace.push(`start ${name} (${role})`) },
    stop: async () => { trace.push(`stop ${name} (${role})`) }
  })
  return definePlugin({
    manifest,
    ...(roles.includes('region') ? { region: async () => defineRegion(manifest, { requires, provides, setup: () => { setup?.(); return { ...base('region'), ...region } } }) } : {}),
    ...(roles.includes('rack') ? { rack: async () => defineRack(manifest, { requires, provides, setup: () => { setup?.(); return { ...base('rack'), ...rack } } }) } : {})
  })
}

export const toyToken = (id: `${string}.${string}`): Token<{ from: string }> => token<{ from: string }>(id)

/** Options for a kernel with these plugins on free ports of loopback, in a fresh folder, with fake parts. */
export async function kernelOptions (plugins: readonly Plugin[], trace: string[] = [], values: Readonly<Record<string, unknown>> = {}): Promise<KernelOptions> {
  const dataDirectory = await mkdtemp(join(tmpdir(), 'bedplate-kernel-'))
  const host = '127.0.0.1'
  const config = await readConfig(plugins.map(plugin => plugin.manifest), { values: { dataDirectory, http: { host, port: 0 }, rackHttp: { host, port: 0 }, rpc: { host, port: 0 }, ...values } })
  return { config, plugins, log: quiet, parts: fakeParts(trace), startTimeout: 5_000, stopTimeout: 2_000 }
}
