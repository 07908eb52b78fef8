/** Runs a program to its end, bounded in time and output. */
import { spawn } from 'node:child_process'
import { BedplateError } from '../../../../core/errors.ts'

export interface Ran { readonly code: number, readonly stdout: string, readonly stderr: string }
export interface Run { readonly input?: string, readonly limit: number /* ms */, readonly signal?: AbortSignal }

const largest = 4_194_304 // bytes of output; a domain's XML has some ten thousand

/** Resolves with whatever exit code. POWER_FAILED when it took too long, said too much, was called off or could not be run; it is gone by then. */
export async function run (command: string, args: readonly string[], { input = '', limit, signal }: Run): Promise<Ran> {
  const failed = (reason: string, cause?: unknown) => new BedplateError('POWER_FAILED', { action: 'action', reason }, cause)
  if (signal?.aborted) throw failed('the time for it was over before it began')
  return await new Promise((resolve, reject) => {
    const child = spawn(command, args, { stdio: ['pipe', 'pipe', 'pipe'], detached: true }) // with a process group of its own: what a shell began ends with it
    let fault: BedplateError | undefined
    const give = (error: BedplateError): void => {
      fault ??= error
      if (child.pid !== undefined) try { process.kill(-child.pid, 'SIGKILL') } catch { /* it has ended by itself */ }
    }
    const timer = setTimeout(() => { give(failed(`no answer came within ${limit / 1000} s`)) }, limit)
    const abort = (): void => { give(failed('the time for it was over before an answer came')) }
    signal?.addEventListener('abort', abort, { once: true })
    const out = { stdout: '', stderr: '' }
    for (const stream of ['stdout', 'stderr'] as const) {
      child[stream].setEncoding('utf8').on('data', (part: string) => {
        out[stream] += part
        if (out[stream].length > largest) give(failed(`it said more than ${largest} bytes`))
      })
    }
    child.stdin.on('error', () => {}) // one that ends before it has read everything says why by its exit code
    child.stdin.end(input)
    const end = (): void => { clearTimeout(timer); signal?.removeEventListener('abort', abort) }
    child.once('error', error => { end(); reject(failed(`${command} could not be run: ${error.message}`, error)) })
    child.once('close', code => { end(); if (fault === undefined) resolve({ code: code ?? -1, ...out }); else reject(fault) })
  })
}
