/** `bedplate ca`: the installation's own authority, for those who are to trust what its controllers serve. */
import type { Noun } from '../session.ts'

interface Authority { readonly certificate: string, readonly sha256: string, readonly validTo: string }

export const caCommands: Noun = (program, on) => {
  const noun = program.command('ca').description('the authority whose certificate firmware needs to boot over HTTPS')
  on(noun.command('show').description('its certificate, as PEM; to enrol in firmware, or for curl --cacert'), async ({ client, output }) => {
    const authority = await client.get<Authority>('/authority')
    output.text(authority.certificate, authority)
  })
}
