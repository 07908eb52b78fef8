/** Reads where this host gets its Debian packages from, in both of apt's notations, so that the image comes from the same mirror. Pure. */

export interface Source { readonly uri: string, readonly suite: string, readonly components: readonly string[], readonly signedBy: string | null }

const words = (text: string | undefined): string[] => (text ?? '').split(/\s+/).filter(Boolean)
const keyring = (value: string | undefined): string | null => value && /^\/\S+$/.test(value.trim()) ? value.trim() : null // a key in the text itself is in apt's trusted keys as well

/** The `deb` lines of a sources.list file. */
export function parseList (text: string): Source[] {
  return text.split('\n').flatMap(line => {
    const match = /^deb\s+(?:\[([^\]]*)\]\s+)?(\S+)\s+(\S+)\s*([^#]*)/.exec(line.trim())
    if (!match?.[2] || !match[3]) return []
    return [{ uri: match[2], suite: match[3], components: words(match[4]), signedBy: keyring(/signed-by=(\S+)/i.exec(match[1] ?? '')?.[1]) }]
  })
}

/** The stanzas of a deb822 .sources file. */
export function parseDeb822 (text: string): Source[] {
  return text.split(/\n(?:[ \t]*\n)+/).flatMap(stanza => {
    const fields = new Map<string, string>()
    let name = ''
    for (const line of stanza.split('\n')) {
      if (line.startsWith('#')) continue
      const field = /^([A-Za-z-]+):\s*(.*)$/.exec(line)
      if (field?.[1]) { name = field[1].toLowerCase(); fields.set(name, field[2] ?? '') } else if (/^\s/.test(line) && name) fields.set(name, `${fields.get(name)}\n${line.trim()}`)
    }
    if (!words(fields.get('types')).includes('deb') || /^(no|false|0)$/i.test(fields.get('enabled') ?? '')) return []
    return words(fields.get('uris')).flatMap(uri => words(fields.get('suites')).map(suite => ({ uri, suite, components: words(fields.get('components')), signedBy: keyring(fields.get('signed-by')) })))
  })
}

/** Those of a Debian release (`bookworm`, `bookworm-updates`, `bookworm-security`): other publishers use suite names of their own. */
export const ofRelease = (sources: readonly Source[], codename: string): Source[] =>
  sources.filter(source => (source.suite === codename || source.suite.startsWith(`${codename}-`)) && source.components.includes('main'))

/** One line of a sources.list. Credentials in an address stay on the host. */
export function sourceLine (source: Source, credentials: 'keep' | 'drop'): string {
  const uri = credentials === 'keep' ? source.uri : source.uri.replace(/^(\w+:\/\/)[^/@]*@/, '$1')
  return `deb ${source.signedBy ? `[signed-by=${source.signedBy}] ` : ''}${uri} ${source.suite} main`
}
