/** When the sockets were empty: counted by the event loop's turns, also over a real socket that holds more than one turn reads. */
import { spawnSync } from 'node:child_process'
import { createSocket } from 'node:dgram'
import { once } from 'node:events'
import { describe, expect, it } from 'vitest'
import { Lulls } from '../../../../plugins/dhcp/v6/lulls.ts'
import { until } from '../../../kit/wait.ts'

describe('a lull', () => {
  const turns = () => {
    const looks: (() => void)[] = []
    return { lulls: new Lulls(look => { looks.push(look) }), turn: () => { for (const look of looks.splice(0)) look() }, waiting: () => looks.length }
  }
  it('is a whole turn in which nothing was read, and then nobody looks any more', () => {
    const { lulls, turn, waiting } = turns()
    lulls.heard()
    expect(waiting()).toBe(0) // nobody waits for one
    lulls.watch()
    turn() // the rest of the turn in which that was
    expect(lulls.count).toBe(0)
    turn()
    expect([lulls.count, waiting()]).toEqual([1, 0])
    lulls.watch()
    turn()
    lulls.heard()
    turn()
    turn()
    expect([lulls.count, waiting()]).toEqual([2, 0])
  })
  it('that began before somebody waited for it is not his', () => {
    const { lulls, turn } = turns()
    lulls.watch()
    turn()
    lulls.watch()
    turn()
    expect(lulls.count).toBe(0)
    turn()
    expect(lulls.count).toBe(1)
  })
  it('does not come while a socket still holds what arrived during a pause', async () => {
    const lulls = new Lulls()
    const [reader, writer] = [createSocket({ type: 'udp4', recvBufferSize: 200_000 }), createSocket('udp4')]
    const seen: number[] = [] // the count at each datagram
    reader.on('message', () => { lulls.heard(); lulls.watch(); seen.push(lulls.count) })
    reader.bind(0, '127.0.0.1')
    await once(reader, 'listening')
    const { port } = reader.address()
    const send = () => new Promise(resolve => { writer.send('x', port, '127.0.0.1', resolve) })
    try {
      await send()
      await until(() => lulls.count === 1)
      const many = 100 // three turns of the loop
      spawnSync('bash', ['-c', `for n in {1..${many}}; do echo -n x > /dev/udp/127.0.0.1/${port}; done`]) // stands still meanwhile
      await until(() => lulls.count === 2)
      expect(seen).toEqual([0, ...Array.from({ length: many }, () => 1)])
      await send()
      await until(() => lulls.count === 3)
      expect(seen.at(-1)).toBe(2)
    } finally {
      reader.close()
      writer.close()
    }
  })
})
