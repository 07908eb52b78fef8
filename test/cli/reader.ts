/** A process that reads through the front door again and again, a connection for each request, and tells how each went. Argument: URL, token. */
import { request } from 'node:http'

/** Times are ms since the epoch. `region` is who answered. */
export interface Read { readonly began: number, readonly ended: number, readonly ok: boolean, readonly region: string, readonly why: string }

const [url = '', token = ''] = process.argv.slice(2)
const every = 50 // ms, whatever the answers take
const patience = 1_000 // ms

function read (): void {
  const began = Date.now()
  const over = (ok: boolean, region: string, why: string) => {
    clearTimeout(late)
    process.send?.({ began, ended: Date.now(), ok, region, why } satisfies Read, undefined, undefined, () => {}) // nobody listens any more at the end
  }
  const asking = request(url, { agent: false, headers: { authorization: `Bearer ${token}` } }, answer => {
    let text = ''
    answer.setEncoding('utf8').on('data', (part: string) => { text += part }).on('error', error => over(false, '', error.message)).on('end', () => {
      if (answer.statusCode !== 200) return over(false, '', `${answer.statusCode} ${text.slice(0, 200)}`)
      over(true, (JSON.parse(text) as { controller: { hostname: string } }).controller.hostname, '')
    })
  })
  const late = setTimeout(() => { asking.destroy(new Error(`no answer within ${patience} ms`)) }, patience)
  asking.on('error', error => over(false, '', error.message)).end()
}
setInterval(read, every)
process.once('disconnect', () => { process.exit(0) })
