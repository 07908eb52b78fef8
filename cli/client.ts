/** The API as commands use it: JSON in and out, problems as failures, pages read to their end. */
import { Failure, sentenceOf } from './failure.ts'

export type Json = Record<string, unknown>
export interface ClientOptions { readonly url: string, readonly token: string | undefined, readonly signal?: AbortSignal | undefined }
export interface ServerEvent { readonly event: string, readonly data: string, readonly id: string | undefined }

export interface Client {
  readonly url: string
  /** The body of the answer. Throws Failure with the server's own sentence for anything but success. */
  send<T = Json>(method: string, path: string, body?: unknown): Promise<T>
  get<T = Json>(path: string): Promise<T>
  /** Every item of a list, page by page. */
  list<T = Json>(path: string): Promise<T[]>
  /** Whether there is such a thing: HEAD gives success or 404. */
  exists(path: string): Promise<boolean>
  upload(path: string, body: AsyncIterable<Uint8Array>): Promise<void>
  /** Server-sent events until the server ends the stream. */
  events(path: string, lastId?: string): AsyncIterable<ServerEvent>
}

export function createClient ({ url, token, signal }: ClientOptions): Client {
  const base = url.replace(/\/+$/, '')
  async function request (method: string, path: string, headers: Record<string, string>, body?: string | AsyncIterable<Uint8Array>): Promise<Response> {
    const stream = body !== undefined && typeof body !== 'string'
    try {
      return await fetch(`${base}/api/v1${path}`, {
        method, redirect: 'error', headers: { ...token === undefined ? {} : { authorization: `Bearer ${token}` }, ...headers },
        ...signal === undefined ? {} : { signal }, ...body === undefined ? {} : { body: stream ? ReadableStream.from(body) : body }, ...stream ? { duplex: 'half' as const } : {}
      })
    } catch (error) {
      if (signal?.aborted) throw new Failure('Interrupted.')
      throw new Failure(`No answer from ${base}: ${sentenceOf(error)}. Is Bedplate running there? "bedplate run" starts it; BEDPLATE_URL or --url says where it is.`, { code: 'UNREACHABLE' })
    }
  }
  const refused = async (response: Response): Promise<Failure> => {
    const text = await response.text().catch(() => '')
    const { detail, code } = parsed(text)
    if (response.status === 401 && token === undefined) return new Failure('This needs a token: give --token, set BEDPLATE_TOKEN, or run this on the region as the user that may read its admin.token.', { code: 'UNAUTHENTICATED' })
    return new Failure(typeof detail === 'string' ? detail : `${base} answered ${response.status} ${response.statusText}`.trim(), { code: typeof code === 'string' ? code : undefined })
  }
  const client: Client = {
    url: base,
    async send<T> (method: string, path: string, body?: unknown) {
      const response = await request(method, path, { accept: 'application/json', ...body === undefined ? {} : { 'content-type': 'application/json' } }, body === undefined ? undefined : JSON.stringify(body))
      if (!response.ok) throw await refused(response)
      const text = await response.text()
      if (text === '') return {} as T
      try { return JSON.parse(text) as T } catch { throw new Failure(`${base} does not answer as Bedplate does (${path} gave no JSON).`) }
    },
    get: path => client.send('GET', path),
    async list<T> (path: string) {
      const items: T[] = []
      for (let after: string | undefined; ;) {
        const query = `${path.includes('?') ? '&' : '?'}limit=1000${after === undefined ? '' : `&after=${encodeURIComponent(after)}`}`
        const page = await client.get<{ items: T[], next?: string | null }>(path + query)
        items.push(...page.items)
        if (typeof page.next !== 'string' || page.next === after) return items
        after = page.next
      }
    },
    async exists (path) {
      const response = await request('HEAD', path, {})
      if (!response.ok && response.status !== 404) throw await refused(response)
      return response.ok
    },
    async upload (path, body) {
      const response = await request('PUT', path, { 'content-type': 'application/octet-stream' }, body)
      if (!response.ok) throw await refused(response)
      await response.body?.cancel()
    },
    async * events (path, lastId) {
      const response = await request('GET', path, { accept: 'text/event-stream', ...lastId === undefined ? {} : { 'last-event-id': lastId } })
      if (!response.ok || response.body === null) throw await refused(response)
      try {
        yield * blocks(response.body.pipeThrough(new TextDecoderStream()))
      } catch (error) {
        if (signal?.aborted) throw new Failure('Interrupted.')
        throw new Failure(`The event stream of ${base} broke off: ${sentenceOf(error)}.`, { code: 'UNREACHABLE' })
      }
    }
  }
  return client
}

const parsed = (text: string): Json => {
  try {
    const value: unknown = JSON.parse(text)
    return typeof value === 'object' && value !== null ? value as Json : {}
  } catch { return {} }
}

/** Takes a text/event-stream apart (HTML standard, section 9.2.6); comments are left out. */
export async function * blocks (chunks: AsyncIterable<string>): AsyncGenerator<ServerEvent> {
  let rest = ''
  let [event, data, id]: [string, string[], string | undefined] = ['message', [], undefined]
  for await (const chunk of chunks) {
    const lines = (rest + chunk).split('\n')
    rest = lines.pop() ?? ''
    for (const raw of lines) {
      const line = raw.endsWith('\r') ? raw.slice(0, -1) : raw
      if (line === '') {
        if (data.length > 0 || id !== undefined) yield { event, data: data.join('\n'), id }
        ;[event, data, id] = ['message', [], undefined]
        continue
      }
      const [, field, value = ''] = /^([^:]+)(?:: ?(.*))?$/.exec(line) ?? []
      if (field === 'event') event = value
      else if (field === 'data') data.push(value)
      else if (field === 'id') id = value
    }
  }
}
