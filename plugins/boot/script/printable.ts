/** Words from outside (names, reasons, kernel options) made harmless to every boot loader's language. Pure. */

/** Words that are taken for nothing but words: no line ends or control characters, no `${…}`, no `;`, `&&`, `||` or comment. */
export const printable = (value: string): string =>
  value.replace(/[^\x20-\x7e]+/g, ' ').replace(/\$+\{/g, '{').split(' ').filter(word => word !== '' && !/^(?:;|\|\||&&|#.*)$/.test(word)).join(' ')
