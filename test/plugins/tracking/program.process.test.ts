/** Real programs that a plugin runs, on a region and on a rack: one that is killed is dead with its reason, wherever one looks, and runs again under another id. */
import { once } from 'node:events'
import { createServer } from 'node:net'
import type { AddressInfo } from 'node:net'
import { Type } from 'typebox'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { defineManifest, definePlugin, defineRack, defineRegion } from '../../../core/plugin.ts'
import type { Clock, Logger, Plugin } from '../../../core/plugin.ts'
import { accepts, createProgram } from '../../../core/program.ts'
import type { Program } from '../../../core/program.ts'
import { until } from '../../kit/wait.ts'
import { Cluster, controllerAt, historyAt, servicesAt } from './installation.ts'
import type { Member, ServiceView } from './installation.ts'

/** A plugin whose one service is a web server that its controller runs: the real one of busybox. */
interface Web { readonly plugin: Plugin, readonly port: number, pid(): number | undefined, starts(): number, hold(): () => void }

async function web (): Promise<Web> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo // free a moment ago
  server.close()
  await once(server, 'close')
  let program: Program | undefined
  let starts = 0
  let gate: Promise<void> = Promise.resolve() // before each start, so that a test has time to look at the dead
  const setup = ({ clock, log }: { readonly clock: Clock, readonly log: Logger }) => {
    program = createProgram({
      name: 'httpd', clock, log, install: 'apt install busybox-static', command: 'busybox', args: ['httpd', '-f', '-p', `127.0.0.1:${port}`, '-h', '/'],
      prepare: async () => { starts++; await gate }, ready: accepts('127.0.0.1', port)
    })
    return { provides: {}, rpc: {}, services: [program] }
  }
  const manifest = defineManifest({ name: 'web', config: Type.Object({}), rpc: {}, wanted: {}, facts: {} })
  const half = { requires: {}, provides: {}, setup }
  return {
    plugin: definePlugin({ manifest, region: async () => defineRegion(manifest, half), rack: async () => defineRack(manifest, half) }),
    port, pid: () => program?.pid(), starts: () => starts,
    hold () { const { promise, resolve } = Promise.withResolvers<void>(); gate = promise; return resolve }
  }
}

let cluster: Cluster
let region: Member, rack: Member
let ofRegion: Web, ofRack: Web
beforeAll(async () => {
  cluster = await Cluster.open()
  ofRegion = await web()
  ofRack = await web()
  region = await cluster.region('region-a', { also: [ofRegion.plugin] })
  rack = await cluster.rack('rack-1', [region], { also: [ofRack.plugin] })
})
afterAll(async () => { await cluster.close() })

test.each([['region', () => [region, ofRegion]], ['rack', () => [rack, ofRack]]] satisfies [string, () => [Member, Web]][])('a program that is killed on a %s is dead with its reason in the API, the history and the metrics, and then runs again', async (role, which) => {
  const [member, program] = which()
  const shown = async (): Promise<ServiceView | undefined> => (await servicesAt(region, `&controller=${member.id}&plugin=web`))[0]
  const metric = async (state: string): Promise<boolean> => (await (await fetch(`${region.daemon.url}/metrics`)).text()).split('\n')
    .some(line => line.startsWith('bedplate_tracking_service_state{') && line.includes(`controller="${member.id}"`) && line.includes(`plugin="web",service="httpd",state="${state}"} 1`))
  await until(async () => (await controllerAt(region, member))?.state === 'running' && await metric('running'), { what: 'everything running', interval: 100 })
  expect(await shown()).toMatchObject({ plugin: 'web', service: 'httpd', role, state: 'running', reason: null, restarts: 0 })

  const [first, begun] = [program.pid()!, program.starts()]
  const release = program.hold()
  const reason = 'it was ended by SIGKILL and said nothing'
  try {
    process.kill(first, 'SIGKILL')
    await until(async () => (await shown())?.state === 'dead', { what: 'the service to be dead' })
    expect(await shown()).toMatchObject({ state: 'dead', reason })
    await until(() => program.starts() > begun, { what: 'the supervisor to start it again' })
    await until(() => metric('dead'), { what: 'the metric', interval: 100 })
    await until(async () => (await controllerAt(region, member))?.reason === `web/httpd is dead: ${reason}`, { what: 'its controller to say so', interval: 100 })
    expect(await metric('running')).toBe(false)
  } finally { release() }

  await until(async () => (await shown())?.state === 'running' && await metric('running'), { what: 'it to run again', interval: 100 })
  expect(await shown()).toMatchObject({ state: 'running', reason: null, restarts: 1 })
  expect(program.pid()).not.toBe(first)
  expect((await fetch(`http://127.0.0.1:${program.port}/nothing`)).status).toBe(404)
  expect((await historyAt(region, `&controller=${member.id}&plugin=web`)).map(({ service, state, reason }) => [service, state, reason]).toReversed()).toEqual([['httpd', 'running', null], ['httpd', 'dead', reason], ['httpd', 'running', null]])
})
