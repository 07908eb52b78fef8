/** QEMU's monitor: JSON lines (QMP, docs/interop/qmp-spec). It takes one client at a time; the next one waits for its greeting. */
import { connect, type NetConnectOpts } from 'node:net'
import { BedplateError, reasonOf } from '../../../../core/errors.ts'
import type { Options } from '../../driver.ts'
import { brief } from '../../redact.ts'

export type Reply = { readonly value: unknown } | { readonly error: string }
export interface Monitor {
  readonly version: string // QEMU's, like 7.2.22
  /** The reply, be it an error. POWER_FAILED when none came within `pace.request`. */
  ask(command: string, args?: Readonly<Record<string, unknown>>): Promise<Reply>
  /** The value. POWER_FAILED also for an error QEMU replied with. */
  execute(command: string, args?: Readonly<Record<string, unknown>>): Promise<unknown>
  /** Resolves at the next event of that name; ask for it before what causes it. POWER_FAILED after `pace.request`, unless it may come whenever it comes. */
  event(name: string, when?: 'whenever it comes'): Promise<void>
  close(): void
}
interface Line { readonly QMP?: { readonly version?: { readonly qemu?: Readonly<Record<string, number>> } }, readonly id?: number, readonly return?: unknown, readonly error?: { readonly desc?: string }, readonly event?: string }

const largest = 1_048_576 // bytes of a line
const failed = (reason: string, cause?: unknown) => new BedplateError('POWER_FAILED', { action: 'action', reason }, cause)

/** Connects and waits for its turn. `name` is for messages. POWER_FAILED; POWER_REFUSED when this account may not. */
export async function openMonitor (target: NetConnectOpts, name: string, { pace, signal }: Pick<Options, 'pace' | 'signal'>): Promise<Monitor> {
  if (signal.aborted) throw failed('the time for it was over before it began')
  const waiting = new Map<number | string, { resolve: (line: Line) => void, reject: (error: BedplateError) => void }>()
  let fault: BedplateError | undefined
  let count = 0
  let rest = ''
  const end = (error: BedplateError): void => {
    fault ??= error
    for (const { reject } of waiting.values()) reject(fault)
    waiting.clear()
    socket.destroy()
    signal.removeEventListener('abort', abort)
  }
  const abort = (): void => { end(failed(`the time for it was over before ${name} answered`)) }
  signal.addEventListener('abort', abort, { once: true })
  const heard = (key: number | string, line: Line): void => { waiting.get(key)?.resolve(line); waiting.delete(key) }
  const wait = async (key: number | string, what: string, limit?: 'none'): Promise<Line> => {
    if (fault !== undefined) throw fault
    const { promise, resolve, reject } = Promise.withResolvers<Line>()
    waiting.set(key, { resolve, reject })
    const timer = limit === 'none' ? undefined : setTimeout(() => { end(failed(`${name} did not ${what} within ${pace.request / 1000} s; if another program holds this monitor, give it one of its own (QEMU takes several -qmp)`)) }, pace.request)
    try { return await promise } finally { clearTimeout(timer) }
  }
  const socket = connect(target)
  socket.setEncoding('utf8')
  socket.on('error', error => {
    const denied = 'code' in error && (error.code === 'EACCES' || error.code === 'EPERM')
    end(denied ? new BedplateError('POWER_REFUSED', { reason: `this rack's account may not open ${name}; give it the right to` }) : failed(`${name} cannot be reached: ${reasonOf(error)}`, error))
  })
  socket.on('close', () => { end(failed(`${name} closed the connection`)) })
  socket.on('data', (part: string) => {
    const lines = (rest + part).split('\n')
    rest = lines.pop() ?? ''
    if (rest.length > largest) { end(failed(`${name} sent a line of more than ${largest} bytes`)); return }
    for (const text of lines) {
      const line = parsed(text)
      if (line === undefined) { end(failed(`${name} does not speak QMP`)); return }
      if (line.QMP !== undefined) heard('greeting', line)
      else if (line.event !== undefined) heard(`event ${line.event}`, line)
      else if (line.id !== undefined) heard(line.id, line)
    }
  })
  const ask = async (command: string, args?: Readonly<Record<string, unknown>>): Promise<Reply> => {
    if (signal.aborted) abort()
    const id = ++count
    const reply = wait(id, `answer ${command}`)
    socket.write(`${JSON.stringify({ execute: command, id, ...(args === undefined ? {} : { arguments: args }) })}\n`)
    const line = await reply
    return line.error === undefined ? { value: line.return } : { error: line.error.desc ?? 'it gave no reason' }
  }
  const execute = async (command: string, args?: Readonly<Record<string, unknown>>): Promise<unknown> => {
    const reply = await ask(command, args)
    if ('error' in reply) throw failed(`QEMU answered ${command} with: ${brief(reply.error)}`)
    return reply.value
  }
  const greeting = await wait('greeting', 'greet')
  await execute('qmp_capabilities')
  const { major = 0, minor = 0, micro = 0 } = greeting.QMP?.version?.qemu ?? {}
  return {
    version: `${major}.${minor}.${micro}`, ask, execute,
    event: async (name, when) => { await wait(`event ${name}`, `tell of ${name}`, when && 'none') },
    close: () => { end(failed('the connection was closed here')) }
  }
}

function parsed (text: string): Line | undefined {
  try {
    const line: unknown = JSON.parse(text)
    return typeof line === 'object' && line !== null ? line : undefined
  } catch { return undefined }
}
