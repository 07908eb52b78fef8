/** The turn of an answer: requests that come at once on one connection are answered one after the other, and those that wait hold nothing. */
import type { ServerResponse } from 'node:http'
import type { Socket } from 'node:net'

const waiting = new WeakMap<Socket, Set<() => void>>() // one listener for all who wait at a connection

/** Resolves when it is this answer's turn to use the connection: true; or when that is gone: false. */
export function turn (socket: Socket, response: ServerResponse): Promise<boolean> {
  if (response.socket !== null) return Promise.resolve(true)
  if (socket.destroyed) return Promise.resolve(false)
  const { promise, resolve } = Promise.withResolvers<boolean>()
  let those = waiting.get(socket)
  if (those === undefined) {
    const all = those = new Set()
    waiting.set(socket, all)
    socket.once('close', () => { for (const leave of all) leave() })
  }
  const leave = (): void => { resolve(false) }
  those.add(leave)
  response.once('socket', () => { waiting.get(socket)?.delete(leave); resolve(true) })
  return promise
}
