/** The client of the availability run: a process in a namespace of its own that reads and writes through the front door, and asks single controllers when told to. */
import { request } from 'node:http'

/** What the run sends. */
export type Order =
  | { readonly t: 'start', readonly url: string, readonly token: string, readonly readEvery: number, readonly writeEvery: number }
  | { readonly t: 'stop' } // answered by `stopped`, once every write has come to its end
  | { readonly t: 'ask', readonly id: number, readonly method: string, readonly url: string, readonly token: string | undefined, readonly body: unknown }
/** What it hears. Times are ms since the epoch. */
export interface Read { readonly t: 'read', readonly at: number, readonly ok: boolean, readonly why: string }
export interface Write { readonly t: 'write', readonly name: string, readonly at: number, readonly done: number, readonly acknowledged: boolean, readonly failures: readonly string[] }
export interface Answer { readonly t: 'answer', readonly id: number, readonly status: number, readonly body: unknown, readonly error?: string }
export type Report = Read | Write | Answer | { readonly t: 'stopped' }

const patience = 1000 // ms a read waits; what an impatient user would
const writePatience = 5000 // ms one attempt of a write waits
const writeAtMost = 60_000 // ms until a write is given up

const tell = (report: Report): void => { process.send?.(report) }

interface Given { readonly status: number, readonly text: string }
/** One request on a connection of its own, as a command-line client makes it. */
function send (method: string, url: string, timeout: number, token?: string, body?: unknown, headers: Readonly<Record<string, string>> = {}): Promise<Given> {
  return new Promise((resolve, reject) => {
    const text = body === undefined ? undefined : JSON.stringify(body)
    const call = request(url, { method, agent: false, headers: { ...headers, ...(token === undefined ? {} : { authorization: `Bearer ${token}` }), ...(text === undefined ? {} : { 'content-type': 'application/json', 'content-length': String(Buffer.byteLength(text)) }) } }, response => {
      const chunks: Buffer[] = []
      response.on('data', (chunk: Buffer) => { chunks.push(chunk) })
      response.on('end', () => { clearTimeout(timer); resolve({ status: response.statusCode ?? 0, text: Buffer.concat(chunks).toString('utf8') }) })
      response.on('error', fail)
    })
    const fail = (error: Error) => { clearTimeout(timer); reject(error) }
    const timer = setTimeout(() => { call.destroy(); fail(new Error(`no answer within ${timeout} ms`)) }, timeout)
    call.on('error', fail)
    call.end(text)
  })
}
const sentence = (error: unknown): string => error instanceof Error ? error.message : String(error)

async function read (url: string, token: string): Promise<void> {
  const at = Date.now()
  const why = await send('GET', `${url}/api/v1/network/fabrics?limit=1`, patience, token).then(({ status }) => status === 200 ? '' : `status ${status}`, sentence)
  tell({ t: 'read', at, ok: why === '', why })
}

/** The problem's code in an answer, if it is one. */
const codeOf = (text: string): string => { try { return String((JSON.parse(text) as { code?: unknown }).code) } catch { return '' } }

/** Makes a fabric; asks again with the same Idempotency-Key until it is told that there is one: ALREADY_DONE says so when an earlier answer was lost. */
async function write (url: string, token: string, name: string): Promise<void> {
  const at = Date.now()
  const failures: string[] = []
  while (Date.now() - at < writeAtMost) {
    const answer = await send('POST', `${url}/api/v1/network/fabrics`, writePatience, token, { name }, { 'idempotency-key': name }).catch(sentence)
    if (typeof answer !== 'string' && (answer.status === 201 || (answer.status === 409 && codeOf(answer.text) === 'ALREADY_DONE'))) { tell({ t: 'write', name, at, done: Date.now(), acknowledged: true, failures }); return }
    failures.push(typeof answer === 'string' ? answer : `status ${answer.status} ${answer.text}`.slice(0, 300))
    await new Promise(resolve => { setTimeout(resolve, 200) }) // a client's own pause between attempts
  }
  tell({ t: 'write', name, at, done: Date.now(), acknowledged: false, failures })
}

const timers: NodeJS.Timeout[] = []
const writing = new Set<Promise<void>>()
process.on('message', (order: Order) => {
  if (order.t === 'start') {
    const run = Date.now().toString(36)
    let count = 0
    // an open loop: a slow answer does not make the load lighter
    timers.push(setInterval(() => { void read(order.url, order.token) }, order.readEvery))
    timers.push(setInterval(() => {
      const mine = write(order.url, order.token, `ha-${run}-${++count}`)
      writing.add(mine)
      void mine.finally(() => { writing.delete(mine) })
    }, order.writeEvery))
  } else if (order.t === 'stop') {
    for (const timer of timers.splice(0)) clearInterval(timer)
    void Promise.all(writing).then(() => { tell({ t: 'stopped' }) })
  } else {
    send(order.method, order.url, 3000, order.token, order.body).then(
      ({ status, text }) => { tell({ t: 'answer', id: order.id, status, body: text === '' ? undefined : JSON.parse(text) as unknown }) }).catch((error: unknown) => { tell({ t: 'answer', id: order.id, status: 0, body: undefined, error: sentence(error) }) })
  }
})
process.once('disconnect', () => { process.exit(0) })
