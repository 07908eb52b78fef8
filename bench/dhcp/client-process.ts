/** The process of `clients.ts`: DHCP clients behind a relay, with a codec of their own, so that what is measured is not read by itself. */
import { createSocket } from 'node:dgram'

export type Order =
  /** New clients, so many a second; each asks again after a second without an answer, and begins anew after two REQUESTs that nobody answered. */
  | { readonly t: 'arrive', readonly servers: readonly string[], readonly perSecond: number, readonly first: number, readonly relay: string }
  /** One client that gets an address and then extends it every so many ms. */
  | { readonly t: 'extend', readonly servers: readonly string[], readonly every: number, readonly first: number, readonly relay: string }
  | { readonly t: 'report' }
export type Report =
  | { readonly t: 'report', readonly acks: readonly number[], readonly waits: readonly number[], readonly unanswered: number }
  /** The router of an ACK changed. */
  | { readonly t: 'router', readonly router: string, readonly at: number }

interface Client { readonly number: number, readonly begun: number, state: 'discover' | 'request' | 'bound', sent: number, requests: number, address: number, server: number }

const now = (): number => Number(process.hrtime.bigint()) / 1e6
const ipOf = (text: string): number => text.split('.').reduce((sum, part) => sum * 256 + Number(part), 0)
const textOf = (ip: number): string => [24, 16, 8, 0].map(shift => (ip >>> shift) & 255).join('.')
const again = 1000 // ms

const socket = createSocket({ type: 'udp4', reuseAddr: true })
const clients = new Map<number, Client>()
const [acks, waits]: [number[], number[]] = [[], []]
let [servers, relay, router]: [readonly string[], number, number] = [[], 0, 0]
let extending = false

function say (client: Client, type: 1 | 3, ciaddr = 0): void {
  const data = Buffer.alloc(300)
  data.set([1, 1, 6, 1])
  data.writeUInt32BE(0x70000000 + client.number, 4)
  data.writeUInt16BE(Math.floor((now() - client.begun) / 1000), 8)
  data.writeUInt32BE(ciaddr, 12)
  data.writeUInt32BE(relay, 24)
  data.set([0x02, 0x5f], 28)
  data.writeUInt32BE(client.number, 30)
  data.writeUInt32BE(0x63825363, 236)
  const options = [53, 1, type]
  const address = (code: number, ip: number) => { options.push(code, 4, ip >>> 24, (ip >>> 16) & 255, (ip >>> 8) & 255, ip & 255) }
  if (type === 3 && ciaddr === 0) { address(50, client.address); address(54, client.server) }
  options.push(55, 3, 1, 3, 6, 255)
  data.set(options, 240)
  client.sent = now()
  for (const server of servers) socket.send(data, 67, server)
}

function hear (data: Buffer): void {
  const client = clients.get(data.readUInt32BE(4) - 0x70000000)
  if (client === undefined || data[0] !== 2) return
  const options = new Map<number, number>()
  for (let at = 240; at < data.length && data[at] !== 255;) {
    if (data[at] === 0) { at++; continue }
    const length = data[at + 1] ?? 0
    options.set(data[at] ?? 0, length === 4 ? data.readUInt32BE(at + 2) : data[at + 2] ?? 0)
    at += 2 + length
  }
  const type = options.get(53)
  if (type === 2 && client.state === 'discover') {
    Object.assign(client, { state: 'request', address: data.readUInt32BE(16), server: options.get(54) ?? 0, requests: 1 })
    say(client, 3)
  } else if (type === 5 && client.state !== 'discover') {
    const at = now()
    if (client.state === 'request') { acks.push(at); waits.push(at - client.begun) }
    client.state = 'bound'
    if (!extending) clients.delete(client.number)
    else if (options.get(3) !== router) { router = options.get(3) ?? 0; process.send?.({ t: 'router', router: textOf(router), at } satisfies Report) }
  } else if (type === 6) { client.state = 'discover'; say(client, 1) }
}

function begin (number: number): Client {
  const client: Client = { number, begun: now(), state: 'discover', sent: 0, requests: 0, address: 0, server: 0 }
  clients.set(number, client)
  say(client, 1)
  return client
}

/** Asks again what nobody answered. */
function repeat (): void {
  const at = now()
  for (const client of clients.values()) {
    if (client.state === 'bound' || at - client.sent < again) continue
    if (client.state === 'request' && client.requests++ < 2) say(client, 3)
    else { client.state = 'discover'; say(client, 1) }
  }
}

socket.on('message', hear)
process.on('message', (order: Order) => {
  if (order.t === 'report') { process.send?.({ t: 'report', acks, waits, unanswered: clients.size } satisfies Report); return }
  servers = order.servers
  relay = ipOf(order.relay)
  let next = order.first
  socket.bind(67, order.relay, () => {
    setInterval(repeat, 10)
    if (order.t === 'arrive') {
      setInterval(() => { begin(next++) }, 1000 / order.perSecond)
    } else {
      extending = true
      const client = begin(next)
      setInterval(() => { if (client.state === 'bound') say(client, 3, client.address) }, order.every)
    }
  })
})
