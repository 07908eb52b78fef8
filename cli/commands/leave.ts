/** `bedplate leave`: takes this host out of its installation. Works on this host, with its certificate, not through the API. */
import { InvalidArgumentError } from 'commander'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { systemClock } from '../../core/clock.ts'
import { packageVersion } from '../../core/controller.ts'
import { BedplateError, reasonOf } from '../../core/errors.ts'
import { holderOf } from '../../core/exclusive.ts'
import { createLogger } from '../../core/log.ts'
import type { LeaveAnswer } from '../../core/rpc/enrol-schema.ts'
import { createIdentityStore } from '../../core/rpc/identity.ts'
import type { Identity } from '../../core/rpc/identity.ts'
import { askLeave } from '../../core/rpc/joining.ts'
import { deliverFacts } from '../../core/rpc/leaving.ts'
import { regionUrl } from '../../core/rpc/target.ts'
import { Failure } from '../failure.ts'
import { foundConfig, hasLeft, hold, putAside, told, writtenFor } from '../host.ts'
import type { Noun, Session } from '../session.ts'

interface Options { readonly config?: string, readonly dataDirectory?: string, readonly timeout?: number, readonly force?: boolean }

const seconds = (text: string): number => {
  if (!/^\d{1,6}$/.test(text) || Number(text) === 0) throw new InvalidArgumentError('It must be a number of seconds.')
  return Number(text)
}

/** Asks one region after the other. Throws a refusal at once; gives the reasons when none answers. */
async function askAny (urls: readonly string[], identity: Identity, request: Parameters<typeof askLeave>[2]): Promise<LeaveAnswer | string[]> {
  const reasons: string[] = []
  for (const url of urls) {
    try { return await askLeave(url, identity, request) } catch (error) {
      if (error instanceof BedplateError && error.code === 'CONFLICT') throw error
      reasons.push(`${url.replace('wss://', '')}: ${reasonOf(error)}`)
    }
  }
  return reasons
}

/** Ends the daemon on this directory, if there is one, and holds the directory. */
async function stopDaemon (dataDirectory: string, deadline: number, output: Session['output']): Promise<() => void> {
  let told = false
  for (;;) {
    const release = hold(dataDirectory)
    if (release !== undefined) return release
    const pid = told ? undefined : await holderOf(dataDirectory)
    if (pid !== undefined) {
      output.note(`Stopping Bedplate (process ${pid}).`)
      try { process.kill(pid, 'SIGTERM'); told = true } catch (error) { if ((error as NodeJS.ErrnoException).code === 'EPERM') throw error }
    }
    if (Date.now() > deadline) throw new Failure(`Bedplate on ${dataDirectory} ${told ? 'did not stop in time' : 'could not be told to stop'}. Stop it (systemctl stop bedplate), then say "bedplate leave" again.`)
    await sleep(100)
  }
}

async function work ({ env, output, io }: Session, options: Options): Promise<void> {
  const { file, config: { core: { dataDirectory, roles, regions, rpc } } } = await foundConfig(options.config, options.dataDirectory, env)
  const force = options.force === true
  const deadline = Date.now() + (options.timeout ?? 60) * 1000

  const store = createIdentityStore(dataDirectory)
  const identity = await store.load()
  const id = (await readFile(join(dataDirectory, 'controller.id'), 'utf8').catch(() => '')).trim()
  if (identity === undefined || id === '') {
    if (file !== undefined && await writtenFor(file) && await hasLeft(dataDirectory)) return output.done(`This host has left before; what was still there was put aside: ${await putAside(dataDirectory, file)}`, { told: true })
    throw new Failure(`There is no identity in ${dataDirectory}: this host is no controller of an installation${file === undefined ? '; --config or --data-directory says where it is' : ''}.`, { code: 'NOT_FOUND' })
  }

  const self = roles.includes('region') ? [`wss://${['::', '0.0.0.0', ''].includes(rpc.host) ? '127.0.0.1' : rpc.host.includes(':') ? `[${rpc.host}]` : rpc.host}:${rpc.port}`] : []
  const others = async () => [...new Set([...regions.map(text => regionUrl(text)), ...(await store.regions()).filter(one => one.controller !== id).flatMap(one => one.urls)])]
  const alone = (reasons: readonly string[]) => new Failure(`No region can be told that this host goes${reasons.length === 0 ? '' : ` (${reasons.join('; ')})`}. Start one; or give --force, and then on a region: bedplate controller remove ${id}`, { code: 'UNREACHABLE' })

  let first = await askAny(await others(), identity, { check: true })
  if (Array.isArray(first)) { // this region itself may know more of them; but another one must answer before it is stopped
    const own = await askAny(self, identity, { check: true })
    if (!Array.isArray(own)) {
      await store.saveRegions(own.regions)
      const again = await askAny(await others(), identity, { check: true })
      first = Array.isArray(again) ? [...first, ...again] : again
    }
  }
  if (Array.isArray(first)) { if (!force) throw alone(first) } else await store.saveRegions(first.regions)
  const release = await stopDaemon(dataDirectory, deadline, output)
  try {
    let delivered = true
    if (roles.includes('rack')) {
      const patience = AbortSignal.any([AbortSignal.timeout(Math.max(1, deadline - Date.now())), ...io.signal === undefined ? [] : [io.signal]])
      const urls = Array.isArray(first) || first.left ? [] : await others()
      const { left, reason } = await deliverFacts({ dataDirectory, identity, urls, controller: { id, roles, version: await packageVersion() }, clock: systemClock, log: createLogger('silent'), signal: patience })
      delivered = left === 0
      if (left > 0 && !force && !(!Array.isArray(first) && first.left)) throw new Failure(`${left} facts of this rack have not been delivered${reason === undefined ? '' : ` (${reason})`}. Bedplate is stopped; say "bedplate leave" again to go on, or give --force to lose them.`, { code: 'UNAVAILABLE' })
      if (left > 0) output.note(`${left} facts of this rack are lost to the installation; they stay in what is put aside.`)
    }
    const last = Array.isArray(first) || first.left ? first : await askAny(await others(), identity, { check: false, delivered })
    if (Array.isArray(last) && !force) throw alone(last)
    const folder = await putAside(dataDirectory, file)
    output.done(`This host has left. Its identity${file === undefined ? '' : ' and configuration'} were put aside: ${folder}`, { controller: id, told: !Array.isArray(last), delivered, putAside: folder })
    if (Array.isArray(last)) output.note(`No region knows of it yet. On one: bedplate controller remove ${id}`)
  } finally {
    release()
  }
}

export const leaveCommands: Noun = (program, on) => {
  on<Options>(program.command('leave').description('take this host out of its installation: stop Bedplate, deliver what waits, be forgotten there, put the identity aside; works on this host')
    .option('--config <file>', 'its configuration file').option('--data-directory <folder>', 'where its keys and state are')
    .option('--timeout <seconds>', 'for stopping and delivering; by default 60', seconds)
    .option('--force', 'leave even if no region can be told, or facts of this rack are lost'), (session, _, options) => told(() => work(session, options)))
}
