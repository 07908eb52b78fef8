/** Asks the given URLs over and over, each time over a connection of its own, and tells who answered, and when (ms, the host's monotonic clock). */
import { get } from 'node:http'

const patience = 150 // ms until an answer counts as missing
const now = (): number => Number(process.hrtime.bigint() / 1000n) / 1000
const ask = (url: string): Promise<string | undefined> => new Promise(resolve => {
  const request = get(url, { agent: false, timeout: patience }, response => {
    let text = ''
    response.on('data', chunk => { text += String(chunk) })
    response.on('end', () => { resolve(text) })
    response.on('error', () => { resolve(undefined) })
  })
  const over = setTimeout(() => { request.destroy() }, patience)
  request.on('error', () => { resolve(undefined) })
  request.on('close', () => { clearTimeout(over); resolve(undefined) })
})
for (const url of process.argv.slice(2)) {
  void (async () => {
    for (;;) {
      const by = await ask(url)
      process.send?.({ url, at: now(), ...(by === undefined ? {} : { by }) })
      await new Promise(resolve => { setTimeout(resolve, 20) })
    }
  })()
}
