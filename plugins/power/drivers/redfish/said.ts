/** What a BMC says of a failure, in its own words, and what that means (DSP0266 clause 8.6, error responses; DSP0268 Base message registry). Pure. */
import { list, object, text, texts, type Json } from '../../connection/json.ts'
import { brief } from '../../redact.ts'

interface Message { readonly id: string, readonly text: string }

/** All messages of an error, of a Task, or of an answer that went well; those with words before those that are only named. Some BMCs write one message where a list belongs. */
function messagesIn (body: Json): readonly Message[] {
  const error = object(body.error)
  const found = [error['@Message.ExtendedInfo'], body['@Message.ExtendedInfo'], body.Messages].flatMap(info => Array.isArray(info) ? info : info === undefined || info === null ? [] : [info])
  const messages = [...found.slice(0, 20).map(object).map(one => ({ id: text(one.MessageId) ?? '', text: text(one.Message) ?? '' })), { id: text(error.code) ?? '', text: text(error.message) ?? '' }]
  return messages.filter(one => one.text !== '' || one.id !== '').toSorted((a, b) => Number(a.text === '') - Number(b.text === ''))
}

/** The BMC's words, if it has any, with `: ` before them: the first message there is, shortened. */
export function explanation (body: Json): string {
  const [first] = messagesIn(body)
  return first === undefined ? '' : `: ${brief((first.text || first.id).replace(/\s+/g, ' '))}`
}

const says = (body: Json, pattern: RegExp): boolean => messagesIn(body).some(({ id, text }) => pattern.test(id) || pattern.test(text))

/** All sessions are in use: Base registry; iDRAC's RAC0218; the same in words. */
export const noSessionLeft = (body: Json): boolean => says(body, /SessionLimitExceeded|CreateLimitReachedForResource|RAC0218|maximum number of (user )?sessions|session limit|too many sessions/i)
/** iLO refuses a password with 400. */
export const badLogin = (body: Json): boolean => says(body, /Unauthori[sz]edLoginAttempt|UnauthenticatedLogin|ResourceAtUriUnauthorized|InvalidCredentials/i)
/** A token that is known no more, told with 403 by some. */
export const sessionGone = (status: number, body: Json): boolean => status === 401 || (status === 403 && says(body, /NoValidSession|SessionTerminated|session (has )?(expired|timed out)/i))
/** Refused for now: the machine is in its self-test, still settling after the last switch, or the BMC has not all its data yet. Several BMCs say so with 400. */
export const forNow = (body: Json): boolean => says(body, /InvalidOperationForSystemState|UnableToModifyDuringSystemPOST|ServiceTemporarilyUnavailable|ResourceInStandby|ResourceInUse|ServiceShuttingDown|ResetInProgress|SYS518|data sources are unavailable|try again later/i)

/** Names of properties a refusal is about. */
export function propertiesIn (body: Json): string {
  const error = object(body.error)
  return [...messagesIn(body).map(one => one.text), ...list(error['@Message.ExtendedInfo']).map(object).flatMap(one => [...texts(one.RelatedProperties), ...texts(one.MessageArgs)])].join(' ')
}
