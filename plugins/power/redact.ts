/** Secrets kept out of what is told, in the forms a BMC may echo them in: as they are, and as they were sent. Pure. */

/** A secret, and what is secret in it by itself: of an Authorization header's value (RFC 9110 section 11.6.2) the token, and of Basic credentials (RFC 7617) the password. */
function formsOf (secret: string): readonly string[] {
  const token = /^[\w-]+ +(\S{4,})$/.exec(secret)?.[1]
  if (token === undefined) return [secret]
  const [, password = ''] = /^basic /i.test(secret) ? /^[^:]*:(.*)$/s.exec(Buffer.from(token, 'base64').toString()) ?? [] : []
  return [secret, token, password]
}

/** Whether these base64 digits, from whichever of them on, hold one of the secrets as Basic credentials do: behind a user's name and a colon. */
function holds (digits: string, secrets: readonly string[]): boolean {
  return [0, 1, 2, 3].some(from => {
    const bytes = Buffer.from(digits.slice(from), 'base64')
    return secrets.some(secret => (['utf8', 'latin1'] as const).some(encoding => bytes.includes(Buffer.from(`:${secret}`, encoding))))
  })
}

/** The text without any of the secrets, whatever made it. */
export function redact (text: string, secrets: readonly string[]): string {
  const all = secrets.flatMap(formsOf).filter(form => form.length > 0).toSorted((a, b) => b.length - a.length) // the longest first: one may be part of another
  if (all.length === 0) return text
  const plain = all.reduce((clean, form) => clean.replaceAll(form, '[redacted]'), text)
  return plain.replace(/[A-Za-z0-9+/_-]{4,}={0,2}/g, digits => holds(digits, all) ? '[redacted]' : digits)
}

const longest = 300 // characters: a sentence or two

/** The beginning of what a BMC or program said. It ends between two words, so that of a secret in it either all is left, and redacted, or nothing. */
export const brief = (said: string): string => said.length <= longest ? said : said.slice(0, longest + 1).replace(/\S*$/, '').trimEnd()
