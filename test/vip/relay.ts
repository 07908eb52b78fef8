/** Stands for a database server on the segment: hands TCP connections on to the real one's socket, its answers late by as many ms as it is told over IPC. */
import { connect, createServer } from 'node:net'
import type { Socket } from 'node:net'

const [host, port, target] = process.argv.slice(2)
let late = 0
process.on('message', (told: { readonly late: number }) => { late = told.late })
createServer(client => {
  const server = connect({ path: target ?? '' })
  let last: Promise<void> = Promise.resolve()
  client.pipe(server)
  server.on('data', data => {
    const due = performance.now() + late
    last = last.then(() => new Promise(resolve => { setTimeout(() => { client.write(data); resolve() }, Math.max(0, due - performance.now())) }))
  })
  const end = (one: Socket, other: Socket) => { one.on('close', () => { other.destroy() }); one.on('error', () => { other.destroy() }) }
  end(client, server)
  end(server, client)
}).listen(Number(port), host, () => { process.send?.({ started: true }) })
