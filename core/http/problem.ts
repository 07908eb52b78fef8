/** The one mapper from anything thrown to application/problem+json (RFC 9457). */
import type { FastifyError, FastifyReply, FastifyRequest } from 'fastify'
import { STATUS_CODES } from 'node:http'
import { BedplateError } from '../errors.ts'

export interface Problem { readonly type: string, readonly title: string, readonly status: number, readonly detail: string, readonly code: string, readonly instance: string, readonly [detail: string]: unknown }

/** What Fastify itself refuses, in our words. */
const refusals: Readonly<Record<string, (error: FastifyError) => BedplateError>> = {
  FST_ERR_CTP_BODY_TOO_LARGE: () => new BedplateError('BODY_TOO_LARGE', {}),
  FST_ERR_CTP_INVALID_MEDIA_TYPE: () => new BedplateError('MEDIA_TYPE_UNSUPPORTED', {}),
  FST_ERR_CTP_EMPTY_JSON_BODY: () => new BedplateError('INVALID_REQUEST', { reason: 'The body is empty but its content type is application/json.' }),
  FST_ERR_CTP_INVALID_JSON_BODY: () => new BedplateError('INVALID_REQUEST', { reason: 'The body is not JSON.' }),
  FST_ERR_CTP_INVALID_CONTENT_LENGTH: () => new BedplateError('INVALID_REQUEST', { reason: 'The body is not as long as Content-Length says.' }),
  FST_ERR_BAD_URL: () => new BedplateError('INVALID_REQUEST', { reason: 'The path is not a valid URL.' })
}

/** The BedplateError behind anything thrown in a handler. What was not thrown on purpose becomes INTERNAL, without its text. */
export function asBedplateError (thrown: unknown, requestId: string): BedplateError {
  if (thrown instanceof BedplateError) return thrown
  const error = thrown as FastifyError
  const refused = refusals[error?.code ?? '']?.(error)
  if (refused !== undefined) return refused
  if (Array.isArray(error?.validation)) return new BedplateError('INVALID_REQUEST', { reason: reasonOfValidation(error), errors: error.validation.map(({ instancePath, message, params }) => ({ path: instancePath, message, ...params })), part: error.validationContext }, error)
  if (thrown instanceof Error && typeof error.statusCode === 'number' && error.statusCode >= 400 && error.statusCode < 500) return new BedplateError('INVALID_REQUEST', { reason: error.message }, thrown)
  return new BedplateError('INTERNAL', { reason: 'an unexpected error', requestId }, thrown)
}

function reasonOfValidation (error: FastifyError): string {
  const where = error.validationContext === 'querystring' ? 'query' : error.validationContext ?? 'request'
  return (error.validation ?? []).map(({ instancePath, message, keyword, params }) => {
    const path = `${where}${instancePath.replaceAll('/', '.')}`
    if (keyword === 'additionalProperties') return `${path}.${String(params.additionalProperty)} is not a known field`
    if (keyword === 'enum' && Array.isArray(params.allowedValues)) return `${path} must be one of ${params.allowedValues.join(', ')}`
    return `${path} ${message ?? 'is not valid'}`
  }).join('; ') + '.'
}

/** The document for one error. `details` of the error become members of their own. */
export const problemOf = (error: BedplateError, instance: string): Problem => ({
  ...error.details,
  type: `urn:bedplate:error:${error.code}`,
  title: STATUS_CODES[error.status] ?? 'Error',
  status: error.status,
  detail: error.message,
  code: error.code,
  instance
})

/** Answers with the problem; server faults are logged with their cause, refusals at debug. */
export function sendProblem (thrown: unknown, request: FastifyRequest, reply: FastifyReply): FastifyReply {
  const error = asBedplateError(thrown, request.id)
  if (error.status >= 500) request.log.error({ err: thrown, code: error.code }, error.message)
  else request.log.debug({ code: error.code }, error.message)
  if (error.status === 401) void reply.header('www-authenticate', 'Bearer realm="bedplate"')
  if (error.status === 503) void reply.header('retry-after', '1')
  return reply.code(error.status).type('application/problem+json').send(JSON.stringify(problemOf(error, request.url)))
}

