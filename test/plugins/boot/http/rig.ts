/** A server that answers every request with part of one file, and bare connections to it. */
import { open } from 'node:fs/promises'
import { createServer } from 'node:http'
import { connect } from 'node:net'
import type { AddressInfo, Socket } from 'node:net'
import { sendBody } from '../../../../plugins/boot/http/body.ts'
import type { Outcome } from '../../../../plugins/boot/http/taking.ts'
import type { Calls } from '../../../../plugins/boot/http/sendfile.ts'

export interface Server { readonly port: number, readonly outcomes: Outcome[], close(): Promise<void> }

/** Serves `/<from>-<to>` of the file; the last byte's number may be left out. */
export async function serveFile (path: string, { calls, patience = 30_000 }: { readonly calls: Calls | undefined, readonly patience?: number }): Promise<Server> {
  const outcomes: Outcome[] = []
  const server = createServer((request, response) => {
    void (async () => {
      const file = await open(path)
      try {
        const { size } = await file.stat()
        const [from = 0, to = size - 1] = (request.url ?? '').slice(1).split('-').filter(Boolean).map(Number)
        response.writeHead(200, { 'content-length': to - from + 1 })
        outcomes.push(await sendBody(response, { file, from, to, calls, patience }))
      } finally { await file.close() }
    })()
  })
  await new Promise<void>(resolve => { server.listen(0, '127.0.0.1', resolve) })
  const { port } = server.address() as AddressInfo
  return { port, outcomes, close: () => new Promise(resolve => { server.close(() => { resolve() }); server.closeAllConnections() }) }
}

/** A connection that has sent these bytes and reads nothing until it is told to. */
export async function connection (port: number, text = ''): Promise<Socket> {
  const socket = connect({ port, host: '127.0.0.1' })
  socket.on('error', () => {})
  socket.pause()
  await new Promise<void>((resolve, reject) => { socket.once('connect', resolve); socket.once('error', reject) })
  if (text !== '') socket.write(text)
  return socket
}

export const getting = (path: string): string => `GET ${path} HTTP/1.1\r\nHost: x\r\n\r\n`
