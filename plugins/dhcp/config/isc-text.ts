/** The text of an ISC dhcpd.conf as statements with line numbers. Pure; time and memory grow with the text alone. */
import { BedplateError } from '../../../core/errors.ts'

export interface Word { readonly line: number, readonly text: string, readonly quoted: boolean }
/** Words up to `;`, or up to a block with the statements in it. */
export interface Statement { readonly line: number, readonly words: readonly Word[], readonly body: readonly Statement[] | undefined }
/** Something that was not taken: on which line, what, and why. */
export interface Left { readonly line: number, readonly what: string, readonly why: string }

export const longest = 1024 * 1024 // characters
const deepest = 20 // blocks in one another
const wordEnd = /[\s{};,="#()]/

/** Reads the words; quotes may span no line. */
function * wordsOf (text: string, left: Left[]): Generator<Word> {
  let line = 1
  for (let at = 0; at < text.length;) {
    const char = text[at] as string
    if (char === '\n') { line++; at++; continue }
    if (/\s/.test(char)) { at++; continue }
    if (char === '#') {
      const end = text.indexOf('\n', at)
      at = end === -1 ? text.length : end
      continue
    }
    if (char === '"') {
      let value = ''
      at++
      while (at < text.length && text[at] !== '"' && text[at] !== '\n') {
        if (text[at] === '\\' && at + 1 < text.length && text[at + 1] !== '\n') at++
        value += text[at++]
      }
      if (text[at] === '"') at++
      else left.push({ line, what: `"${value.slice(0, 40)}`, why: 'the quote does not end on its line' })
      yield { line, text: value, quoted: true }
      continue
    }
    if (wordEnd.test(char)) { yield { line, text: char, quoted: false }; at++; continue }
    let end = at
    while (end < text.length && !wordEnd.test(text[end] as string)) end++
    yield { line, text: text.slice(at, end), quoted: false }
    at = end
  }
}

interface Open { readonly line: number, readonly words: readonly Word[], readonly body: Statement[] }

/** The statements of a file. What cannot be read as one is put on `left`. Throws INVALID_REQUEST for a text too long or nested too deep. */
export function statementsOf (text: string, left: Left[]): Statement[] {
  if (text.length > longest) throw new BedplateError('INVALID_REQUEST', { reason: `The file has ${text.length} characters; at most ${longest} are read.` })
  const top: Statement[] = []
  const open: Open[] = []
  let words: Word[] = []
  const body = () => open.at(-1)?.body ?? top
  for (const word of wordsOf(text, left)) {
    const mark = word.quoted ? '' : word.text
    if (mark === ';') {
      if (words[0] !== undefined) body().push({ line: words[0].line, words, body: undefined })
      words = []
    } else if (mark === '{') {
      if (open.length === deepest) throw new BedplateError('INVALID_REQUEST', { reason: `Line ${word.line}: blocks are nested deeper than ${deepest}.` })
      open.push({ line: words[0]?.line ?? word.line, words, body: [] })
      words = []
    } else if (mark === '}') {
      if (words[0] !== undefined) left.push({ line: words[0].line, what: shown(words), why: 'there is no ";" behind it' })
      words = []
      const ended = open.pop()
      if (ended === undefined) left.push({ line: word.line, what: '}', why: 'nothing is open here' })
      else body().push(ended)
    } else words.push(word)
  }
  if (words[0] !== undefined) left.push({ line: words[0].line, what: shown(words), why: 'there is no ";" behind it' })
  for (let ended = open.pop(); ended !== undefined; ended = open.pop()) {
    left.push({ line: ended.line, what: shown(ended.words), why: 'its "{" is never closed' })
    body().push(ended)
  }
  return top
}

/** The words as they stood, shortened. */
export function shown (words: readonly Word[]): string {
  const text = words.slice(0, 12).map(({ text, quoted }) => quoted ? `"${text}"` : text).join(' ').replace(/ ([,;)])/g, '$1')
  return text.length > 80 ? `${text.slice(0, 79)}…` : words.length > 12 ? `${text} …` : text
}
