/** `bedplate token`: who may use the API. */
import { InvalidArgumentError, Option } from 'commander'
import { choose } from '../names.ts'
import type { Noun } from '../session.ts'

interface Token { readonly id: string, readonly name: string, readonly account: string, readonly prefix: string, readonly scopes: readonly string[], readonly createdAt: string, readonly expiresAt: string | null, readonly usedAt: string | null }

const units: Readonly<Record<string, number>> = { h: 3_600_000, d: 86_400_000, w: 604_800_000 }
/** Milliseconds of `12h`, `30d`, `8w`. */
export const span = (text: string): number => {
  const [, count, unit = ''] = /^([1-9]\d{0,4})([hdw])$/.exec(text) ?? []
  if (count === undefined) throw new InvalidArgumentError('Write it as 12h, 30d or 8w.')
  return Number(count) * (units[unit] ?? 0)
}

export const tokenCommands: Noun = (program, on) => {
  const noun = program.command('token').description('who may use the API')

  on<{ scope?: string[], expires?: number }>(noun.command('create').description('make a token; it is shown this once').argument('<name>', 'what it is for')
    .addOption(new Option('--scope <scope...>', 'what it may do').choices(['read', 'write', 'admin'])).option('--expires <span>', '12h, 30d, 8w; by default never', span), async ({ client, output, io }, [name], { scope, expires }) => {
    const made = await client.send<Token & { readonly token: string }>('POST', '/access/tokens', { name, ...scope === undefined ? {} : { scopes: scope }, ...expires === undefined ? {} : { expiresAt: new Date(Date.now() + expires).toISOString() } })
    output.done(made.token, made)
    if ('isTTY' in io.stdout && io.stdout.isTTY === true) output.note(`Token "${made.name}" (${made.scopes.join(', ')}) is shown this once.`)
  })
  on(noun.command('list').description('all tokens; never the tokens themselves'), async ({ client, output }) => {
    output.rows(await client.list<Token>('/access/tokens'), [['ID', token => token.id], ['NAME', token => token.name], ['BEGINS', token => token.prefix], ['SCOPES', token => token.scopes], ['CREATED', token => token.createdAt], ['EXPIRES', token => token.expiresAt ?? 'never'], ['USED', token => token.usedAt ?? 'never']], 'No tokens.')
  })
  on(noun.command('revoke').description('a token no longer counts, at once').argument('<token>', 'id, name, or how it begins'), async ({ client, output }, [given = '']) => {
    const token = choose('token', given, await client.list<Token>('/access/tokens'), ({ name, prefix }) => [prefix, name])
    await client.send('DELETE', `/access/tokens/${token.id}`)
    output.done(`Token ${token.name} is revoked.`, token)
  })
  on(noun.command('whoami').description('whose token this is, and what it may do'), async ({ client, output }) => {
    const who = await client.get<{ readonly id: string, readonly name: string, readonly scopes: readonly string[] }>('/access/whoami')
    output.item(who, [['Name', () => who.name], ['Token', () => who.id], ['Scopes', () => who.scopes]])
  })
}
