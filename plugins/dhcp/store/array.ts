/** PostgreSQL's text form of arrays, for statements that take many rows: the client library escapes every element twice by regular expressions. Pure. */

const quoted = /["\\]/

/** An array of texts, numbers and nulls as one parameter. */
export function arrayText (values: readonly (string | number | null)[]): string {
  let text = '{'
  for (const value of values) {
    if (text.length > 1) text += ','
    if (value === null) text += 'NULL'
    else if (typeof value === 'number') text += value
    else text += `"${quoted.test(value) ? value.replace(/["\\]/g, '\\$&') : value}"`
  }
  return `${text}}`
}
