/** Racks that report numbers to a region, over sockets and over loopback, and what arrived. */
import { expect } from 'vitest'
import type { TestDatabase } from '../kit/database.ts'
import { until } from '../kit/wait.ts'
import { cuttable, facts, type Installation, type Rack, type RackOptions, type Region } from '../rpc/installation.ts'

export const numbers = (count: number, from = 0): number[] => Array.from({ length: count }, (_, n) => from + n)
export const reported = (rack: Rack, count: number, from = 0) => { for (const n of numbers(count, from)) rack.end.report('probe', 'seen', { n }) }
export const stored = async (db: TestDatabase, expected: readonly number[], timeout = 15_000): Promise<void> => {
  await until(async () => (await facts(db)).length >= expected.length, { what: `${expected.length} facts`, timeout, interval: expected.length > 1000 ? 100 : 10 })
  expect(await facts(db)).toEqual(expected)
}
export const value = async (of: { readonly metrics: Rack['metrics'] }, name: string): Promise<number> => {
  const metric = await of.metrics.registry.getSingleMetric(name)?.get()
  return (metric?.values ?? []).reduce((sum, one) => sum + one.value, 0)
}

export interface Pair { readonly region: Region, readonly rack: Rack, readonly path: { budget: (() => number) | undefined, live: boolean, cut(): void } }
interface Transport { readonly make: (installation: Installation, db: TestDatabase, o?: RackOptions) => Promise<Pair>, readonly budget: (random: () => number) => number }
export const transports: Readonly<Record<'sockets' | 'loopback', Transport>> = {
  sockets: {
    async make (installation, db, o) {
      const region = await installation.region(db)
      return { region, rack: await installation.linked([region], o), path: region.proxy }
    },
    budget: random => 3000 + random() * 30_000 // bytes, the TLS handshake included
  },
  loopback: {
    async make (installation, db, o) {
      const region = await installation.region(db, { roles: ['region', 'rack'] })
      const path = cuttable(region.end.loopback())
      const rack = await installation.rack({ loopback: path, ...o })
      await rack.start()
      return { region, rack, path }
    },
    budget: random => Math.floor(2 + random() * 8) // frames
  }
}
export const names = Object.keys(transports) as (keyof typeof transports)[]
