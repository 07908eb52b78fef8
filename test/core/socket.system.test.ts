/** Sockets made outside Node: bound to a device, broadcasting, refused with a reason. In a namespace, since that needs devices. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { openDatagrams } from '../../core/socket.ts'
import type { Datagrams } from '../../core/socket.ts'
import { readdir } from 'node:fs/promises'
import { createNetwork } from '../kit/network.ts'
import type { Namespace, TestNetwork } from '../kit/network.ts'
import { until } from '../kit/wait.ts'

const open = async (options: Parameters<typeof openDatagrams>[0]): Promise<Datagrams & { readonly heard: string[], readonly lost: Error[] }> => {
  const [heard, lost]: [string[], Error[]] = [[], []]
  const socket = await openDatagrams(options, { received: data => { heard.push(String(data)) }, failed: error => { throw error }, lost: error => { lost.push(error) } })
  return { ...socket, heard, lost }
}
const descriptors = async () => (await readdir('/proc/self/fd')).length

describe('openDatagrams', () => {
  it('receives and sends on loopback, on a port of its own choice', async () => {
    const [one, two] = [await open({ port: 0, address: '127.0.0.1' }), await open({ port: 0, device: 'lo' })]
    two.send(Buffer.from('hello'), one.port, '127.0.0.1')
    await until(() => one.heard.length === 1)
    expect(one.heard).toEqual(['hello'])
    await Promise.all([one.close(), one.close(), two.close()])
  })
  it('loses none of many at once, in order, each with its sender, and lets go of them when it is closed', async () => {
    const senders: string[] = []
    const heard: string[] = []
    const receiver = await openDatagrams({ port: 0, address: '127.0.0.1' }, { received: (data, from) => { heard.push(String(data)); senders.push(`${from.address}:${from.port} ${from.size}`) }, failed: error => { throw error }, lost: error => { throw error } })
    const sender = await open({ port: 0, device: 'lo' })
    const words = Array.from({ length: 1000 }, (_, index) => `datagram ${index}`)
    for (let from = 0; from < words.length; from += 100) {
      for (const word of words.slice(from, from + 100)) sender.send(Buffer.from(word), receiver.port, '127.0.0.1')
      await until(() => heard.length === from + 100)
    }
    expect(heard).toEqual(words)
    expect(new Set(senders)).toEqual(new Set(words.map(word => `127.0.0.1:${sender.port} ${word.length}`)))
    sender.send(Buffer.from('the last'), receiver.port, '127.0.0.1')
    await sender.close()
    sender.send(Buffer.from('too late'), receiver.port, '127.0.0.1')
    await until(() => heard.length === 1001)
    expect(heard.at(-1)).toBe('the last')
    await receiver.close()
  })
  it('tells of a datagram that could not be sent, and goes on', async () => {
    const [one, two] = [await open({ port: 0, device: 'lo' }), await open({ port: 0, address: '127.0.0.1' })]
    one.send(Buffer.alloc(70_000), two.port, '127.0.0.1')
    await until(() => one.lost.length === 1)
    one.send(Buffer.from('again'), two.port, '127.0.0.1')
    await until(() => two.heard.length === 1)
    await one.close()
    await two.close()
  })
  it('refuses a device that is not there and an address of another host, by name, and leaves no descriptor', async () => {
    await open({ port: 0 }).then(socket => socket.close()) // what is loaded once is loaded
    const before = await descriptors()
    for (let time = 0; time < 5; time++) {
      await expect(open({ port: 0, device: 'none0' })).rejects.toMatchObject({ code: 'UNAVAILABLE', details: { name: 'ENODEV' } })
      await expect(open({ port: 0, address: '203.0.113.1' })).rejects.toMatchObject({ code: 'UNAVAILABLE', details: { name: 'EADDRNOTAVAIL' } })
    }
    expect(await descriptors()).toBe(before)
  })
  it('of IPv6: a group that is none is refused, and leaves no descriptor', async () => {
    await open({ port: 0, family: 6, device: 'lo' }).then(socket => socket.close())
    const before = await descriptors()
    await expect(open({ port: 0, family: 6, device: 'lo', groups: ['2001:db8::1'] })).rejects.toMatchObject({ code: 'UNAVAILABLE', details: { name: 'membership' } })
    expect(await descriptors()).toBe(before)
  })
  it('two may share a port on different devices, and on the same', async () => {
    const one = await open({ port: 0, device: 'lo' })
    const two = await open({ port: one.port, device: 'lo' })
    await one.close()
    await two.close()
  })
})

describe('in a namespace', () => {
  let network: TestNetwork
  let host: Namespace
  let left: Namespace
  let right: Namespace
  beforeAll(async () => {
    network = await createNetwork()
    ;[host, left, right] = [await network.namespace(), await network.namespace(), await network.namespace()]
    await network.cable({ namespace: host, name: 'eth0', addresses: ['192.0.2.1/25'] }, { namespace: left, name: 'eth0', addresses: ['192.0.2.2/25'] })
    await network.cable({ namespace: host, name: 'eth1', addresses: ['192.0.2.129/25'] }, { namespace: right, name: 'eth0', addresses: ['192.0.2.130/25'] })
  })
  afterAll(() => network.destroy())

  it('a broadcast leaves on the socket\'s device alone, and what comes in on another device is not heard', async () => {
    const listen = (name: string) => `const { openDatagrams } = await import(${JSON.stringify(`${import.meta.dirname}/../../core/socket.ts`)}); const socket = await openDatagrams({ port: 6767, device: '${name}' }, { received: (data, from) => { console.log('${name} heard ' + data + ' from ' + from.address) }, failed: console.error, lost: console.error }); console.log('ready');`
    const start = (namespace: Namespace, script: string) => {
      const child = namespace.spawn([process.execPath, '--input-type=module', '-e', script], { stdio: ['ignore', 'pipe', 'inherit'] })
      let said = ''
      child.stdout?.on('data', chunk => { said += String(chunk) })
      return { said: () => said, ready: () => until(() => said.includes('ready'), { timeout: 15_000 }) }
    }
    const hosts = [start(host, listen('eth0')), start(host, listen('eth1'))]
    const rightSide = start(right, listen('eth0'))
    await Promise.all([...hosts, rightSide].map(one => one.ready()))
    const leftSide = start(left, `${listen('eth0')} socket.send(Buffer.from('ping'), 6767, '255.255.255.255')`)
    await until(() => hosts[0]?.said().includes('eth0 heard ping from 192.0.2.2'), { timeout: 15_000 })
    const third = start(host, `${listen('eth0').replace('6767', '6768')} socket.send(Buffer.from('pong'), 6767, '255.255.255.255')`)
    await until(() => leftSide.said().includes('eth0 heard pong from 192.0.2.1'), { timeout: 15_000 })
    await third.ready()
    expect(hosts[1]?.said()).not.toContain('heard')
    expect(rightSide.said()).not.toContain('heard')
  })

  it('a group of IPv6 is heard on its device alone, and the sender is named with its interface', async () => {
    const start = (namespace: Namespace, name: string, then = '') => {
      const script = `const { openDatagrams } = await import(${JSON.stringify(`${import.meta.dirname}/../../core/socket.ts`)}); const socket = await openDatagrams({ port: 6747, family: 6, device: '${name}', groups: ['ff02::1:2'] }, { received: (data, from) => { console.log('${name} heard ' + data + ' from ' + from.address) }, failed: console.error, lost: () => {} }); console.log('ready'); ${then}`
      const child = namespace.spawn([process.execPath, '--input-type=module', '-e', script], { stdio: ['ignore', 'pipe', 'inherit'] })
      let said = ''
      child.stdout?.on('data', chunk => { said += String(chunk) })
      return { said: () => said, ready: () => until(() => said.includes('ready'), { timeout: 15_000 }) }
    }
    const hosts = [start(host, 'eth0'), start(host, 'eth1')]
    await Promise.all(hosts.map(one => one.ready()))
    // again and again: until its address is known to be no one else's, nothing can be sent from it
    start(left, 'eth0', `setInterval(() => { socket.send(Buffer.from('ping'), 6747, 'ff02::1:2%eth0') }, 100)`)
    await until(() => /eth0 heard ping from fe80::[0-9a-f:]+%eth0/.test(hosts[0]?.said() ?? ''), { timeout: 30_000 })
    expect(hosts[1]?.said()).not.toContain('heard')
  })
})
