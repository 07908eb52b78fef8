/** Simulated BMCs in a process of their own, so that what they cost is nobody's. */
import { join } from 'node:path'
import { BedplateError } from '../../core/errors.ts'
import type { Namespace } from '../../test/kit/network.ts'

export interface Account { readonly user: string, readonly password: string, readonly cipher: string }
export const account: Account = { user: 'admin', password: 'bench-bmc', cipher: '3' }
export const port = 623

/** Since the last `begin`: how often they were asked, how many were not, and the longest time in s that one of them was not; `seen`: how many were ever asked. */
export interface Asked { readonly polls: number, readonly unasked: number, readonly seen: number, readonly longest: number }
export interface Bmcs {
  readonly hosts: readonly string[]
  begin(): Promise<Asked>
  asked(): Promise<Asked>
  end(): Promise<void>
}

/** 127.64.0.1 and on. */
export const hostsOf = (count: number): string[] => Array.from({ length: count }, (_, index) => `127.64.${Math.floor(index / 250)}.${index % 250 + 1}`)

/** Resolves when all of them answer. */
export async function startBmcs (namespace: Namespace, count: number): Promise<Bmcs> {
  const hosts = hostsOf(count)
  const child = namespace.node(join(import.meta.dirname, 'bmcs-process.ts'), [JSON.stringify({ hosts, port, account })])
  const gone = new Promise<void>(resolve => { child.once('exit', () => { resolve() }) })
  const answer = <T>(ask?: string): Promise<T> => new Promise((resolve, reject) => {
    const ended = (code: number | null): void => { reject(new BedplateError('START_FAILED', { what: 'the simulated BMCs', reason: `exit ${code}` })) }
    child.once('exit', ended)
    child.once('message', message => { child.off('exit', ended); resolve(message as T) })
    if (ask !== undefined) child.send(ask)
  })
  await answer()
  return {
    hosts, begin: () => answer('begin'), asked: () => answer('asked'),
    async end () { child.disconnect(); await gone }
  }
}
