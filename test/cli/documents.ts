/** What the documents tell people to type: the commands of their code blocks, word by word as a shell would take them. */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'

export const root = join(import.meta.dirname, '../..')
export const read = (file: string): string => readFileSync(join(root, file), 'utf8')

/** The code blocks of a Markdown text, with the language they name. */
export function blocks (markdown: string): { readonly language: string, readonly text: string }[] {
  return [...markdown.matchAll(/^ *```(\w*)\n([^]*?)^ *```/gm)].map(([, language = '', text = '']) => ({ language, text }))
}

/** Splits a line into words: quotes hold them together, ` #` begins a comment, `&&`, `|` and `;` stand alone. */
export function words (line: string): string[] {
  const found = line.matchAll(/(?:^|\s)#.*$|&&|[|;]|(?:'[^']*'|"[^"]*"|[^\s'"&|;])+/g)
  return [...found].map(([word]) => word).filter(word => !/^\s*#/.test(word)).map(word => word.replace(/'([^']*)'|"([^"]*)"/g, '$1$2'))
}

/** Every `bedplate …` of the code blocks, without the program's name; what a terminal printed is told by not beginning so. */
export function commands (markdown: string): string[][] {
  return blocks(markdown).filter(({ language }) => !['json', 'yaml', 'text'].includes(language)).flatMap(({ text }) => text.replaceAll('\\\n', ' ').split('\n')).flatMap(line => {
    const [list, rest] = [[] as string[][], words(line)]
    for (let part: string[] = []; ;) {
      const word = rest.shift()
      if (word === '>') { rest.shift(); continue } // into a file
      if (word !== undefined && !['&&', '|', ';'].includes(word)) { part.push(word); continue }
      while (/^(\$|sudo|[A-Z_]+=.*)$/.test(part[0] ?? '')) part.shift()
      if (/^(bin\/|\.\/bin\/)?bedplate$/.test(part[0] ?? '')) list.push(part.slice(1))
      part = []
      if (word === undefined) return list
    }
  })
}
