/** The metrics a half may register. One registry per controller, so that two daemons in one test process do not share counters. */
import { Counter, Gauge, Histogram, Registry, collectDefaultMetrics } from 'prom-client'

export interface Metrics {
  readonly registry: Registry
  counter(name: string, help: string, labels?: readonly string[]): Counter
  gauge(name: string, help: string, labels?: readonly string[]): Gauge
  histogram(name: string, help: string, labels?: readonly string[], buckets?: readonly number[]): Histogram
}

/** Names get the prefix `bedplate_`; asking twice for one name gives the same metric. */
export function createMetrics (options: { readonly process?: boolean } = {}): Metrics {
  const registry = new Registry()
  if (options.process) collectDefaultMetrics({ register: registry })
  const existing = <T>(name: string, make: () => T): T => (registry.getSingleMetric(name) as T | undefined) ?? make()
  const named = (name: string) => `bedplate_${name}`
  return {
    registry,
    counter: (name, help, labels = []) => existing(named(name), () => new Counter({ name: named(name), help, labelNames: [...labels], registers: [registry] })),
    gauge: (name, help, labels = []) => existing(named(name), () => new Gauge({ name: named(name), help, labelNames: [...labels], registers: [registry] })),
    histogram: (name, help, labels = [], buckets) => existing(named(name), () => new Histogram({ name: named(name), help, labelNames: [...labels], registers: [registry], ...(buckets ? { buckets: [...buckets] } : {}) }))
  }
}
