/** Puts an area's rows into docs/performance.md, between two marks; the rest of the page stays as it is. The text is made here, the file by whoever calls. Pure. */
import type { Row } from './figures.ts'
import { markdownOf } from './figures.ts'

export interface PageOptions { readonly area: string, readonly rows: readonly Row[], readonly machine: string, readonly versions: readonly string[], readonly command: string, readonly date: string }

/** The page with the area's section replaced, or added at its end. */
export function withSection (page: string, { area, rows, machine, versions, command, date }: PageOptions): string {
  const [begin, end] = [`<!-- bench ${area}: written by ${command} -->`, `<!-- end of bench ${area} -->`]
  const section = [
    begin, `## Bench: ${area}`, '', `\`${command}\`, ${date}: ${machine}.`, `${versions.join('; ')}.`, '',
    'Ours and the peer in turn; the ratio is the median of the ratios round by round, and more is better. What is lost, doubled or answered wrongly makes a row faulty.', '',
    markdownOf(rows), end
  ].join('\n')
  const from = page.indexOf(`<!-- bench ${area}:`)
  const to = page.indexOf(end)
  return from === -1 || to === -1 ? `${page.trimEnd()}\n\n${section}\n` : page.slice(0, from) + section + page.slice(to + end.length)
}
