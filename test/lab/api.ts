/** The lab as a user of the admin API: plain fetch, problems as errors, patient while a killed region comes back. */
import { setTimeout as delay } from 'node:timers/promises'
import { BedplateError } from '../../core/errors.ts'

export interface Api {
  get<T>(path: string): Promise<T>
  send<T>(method: 'POST' | 'PUT' | 'PATCH' | 'DELETE', path: string, body?: unknown): Promise<T>
  /** Asks until `done` says so; `what` goes into the error when `seconds` are over. Answers that fail count as not yet. */
  until<T>(path: string, what: string, seconds: number, done: (value: T) => boolean): Promise<T>
}

export function createApi (url: string, token: () => string): Api {
  async function request<T> (method: string, path: string, body?: unknown): Promise<T> {
    const response = await fetch(`${url}${path}`, {
      method,
      headers: { authorization: `Bearer ${token()}`, ...(body === undefined ? {} : { 'content-type': 'application/json' }) },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      signal: AbortSignal.timeout(30_000)
    })
    const text = await response.text()
    const value: unknown = text === '' ? undefined : JSON.parse(text)
    if (!response.ok) throw new BedplateError('CONFLICT', { reason: `${method} ${path}: ${response.status} ${(value as { detail?: string } | undefined)?.detail ?? text}` })
    return value as T
  }
  return {
    get: path => request('GET', path),
    send: request,
    async until<T> (path: string, what: string, seconds: number, done: (value: T) => boolean): Promise<T> {
      const end = performance.now() + seconds * 1000
      let last = 'no answer'
      while (performance.now() < end) {
        try {
          const value = await request<T>('GET', path)
          if (done(value)) return value
          last = JSON.stringify(value).slice(0, 600)
        } catch (error) { last = String(error) }
        await delay(500)
      }
      throw new BedplateError('CONFLICT', { reason: `${what} did not come within ${seconds} s. Last seen: ${last}` })
    }
  }
}
