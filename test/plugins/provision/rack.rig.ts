/** provision's rack half behind real HTTP, mounted at /provision as the kernel does it; what it reports is kept. */
import type { AddressInfo } from 'node:net'
import { createApp } from '../../../core/http/app.ts'
import { createHooks } from '../../../core/hooks.ts'
import { createMetrics } from '../../../core/metrics.ts'
import { systemClock } from '../../../core/clock.ts'
import type { Entry, Reported } from '../../../core/plugin.ts'
import { check } from '../../../core/rpc/check.ts'
import { manifest } from '../../../plugins/provision/manifest.ts'
import rack from '../../../plugins/provision/rack.ts'
import { quiet } from '../../kit/parts.ts'

type Kind = keyof typeof manifest.facts
export type SessionEntry = Extract<Entry<typeof manifest.wanted>, { readonly kind: 'session' }>
export const session = (token: string, changes: Partial<SessionEntry['value']> = {}): SessionEntry => ({
  kind: 'session', id: token,
  value: { machine: 'm1', purpose: 'deploy', script: `set -eu\necho ${token}\n`, metaData: '{"instance-id":"m1"}\n', userData: '#cloud-config\n{}\n', vendorData: '#cloud-config\nvendor: ü\n', networkConfig: '{"version":2}\n', ...changes }
})
export const enlist = { kind: 'enlist', id: 'enlist', value: { script: 'echo enlist\n' } } as const

/** `stored` says whether a region has taken what was reported. */
export async function rackHalf (host = '127.0.0.1', stored: Reported['stored'] = async () => true) {
  const reports: { readonly kind: Kind, readonly body: Readonly<Record<string, unknown>> }[] = []
  const faults: string[] = []
  const running = rack.setup({
    config: {}, deps: {}, hooks: createHooks(), log: quiet, clock: systemClock, metrics: createMetrics(), region: {}, controller: { id: 'rack', hostname: 'rack', roles: ['rack'], version: '0', dataDirectory: '/nowhere' },
    report (kind, body) {
      const fault = check(manifest.facts[kind], body)
      if (fault !== undefined) faults.push(`${kind}: ${fault}`)
      reports.push({ kind, body })
      return { stored }
    }
  })
  const app = createApp(quiet)
  await app.register(running.routes!, { prefix: '/provision' })
  await app.listen({ host, port: 0 })
  const base = `http://${host.includes(':') ? `[${host}]` : host}:${(app.server.address() as AddressInfo).port}/provision`
  return {
    running, reports, faults, base,
    get: async (path: string) => { const answer = await fetch(`${base}${path}`); return { status: answer.status, type: answer.headers.get('content-type'), text: await answer.text() } },
    async post (path: string, body: string | URLSearchParams | Uint8Array<ArrayBuffer> | undefined, type?: string) {
      const answer = await fetch(`${base}${path}`, { method: 'POST', ...(body === undefined ? {} : { body }), headers: type === undefined ? {} : { 'content-type': type } })
      const text = await answer.text()
      return { status: answer.status, type: answer.headers.get('content-type'), text, code: /problem\+json/.test(answer.headers.get('content-type') ?? '') ? (JSON.parse(text) as { code: string }).code : undefined }
    },
    close: async () => { app.server.closeAllConnections(); await app.close() }
  }
}
