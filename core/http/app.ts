/** A Fastify instance as both hosts use it: strict validation, one form of error, request ids. It never listens by itself (see listener.ts). */
import '@fastify/swagger' // its types: summary, tags and security of a route
import { Ajv } from 'ajv'
import Fastify, { LogController } from 'fastify'
import type { FastifyBaseLogger, FastifyInstance, RouteOptions } from 'fastify'
import { randomUUID } from 'node:crypto'
import Format from 'typebox/format'
import { BedplateError } from '../errors.ts'
import type { Logger } from '../log.ts'
import { sendProblem } from './problem.ts'

declare module 'fastify' {
  interface FastifyContextConfig {
    /** No principal is asked for: health, documentation, and what machines fetch. */
    public?: boolean
    /** The scope a principal needs; by default `read` for GET and HEAD, `write` for the rest. */
    scope?: 'read' | 'write' | 'admin'
  }
}

/** Largest body taken unless a route says otherwise. */
const bodyLimit = 1024 * 1024

/** Makes an app; its routes are added, then `ready()` is awaited before it serves. */
export function createApp (log: Logger): FastifyInstance {
  const app = Fastify({
    loggerInstance: log as FastifyBaseLogger,
    logController: new LogController({ disableRequestLogging: true }),
    bodyLimit,
    genReqId: request => {
      const given = request.headers['x-request-id']
      return typeof given === 'string' && /^[\w.:-]{1,64}$/.test(given) ? given : randomUUID()
    },
    routerOptions: { maxParamLength: 512 },
    frameworkErrors: (error, request, reply) => { void sendProblem(error, request, reply) }
  })
  app.setValidatorCompiler(({ schema, httpPart }) => validatorFor(httpPart).compile(httpPart === 'body' || httpPart === 'querystring' ? closed(schema) as object : schema as object))
  app.setErrorHandler((error, request, reply) => sendProblem(error, request, reply))
  app.addHook('onRequest', async (request, reply) => { void reply.header('x-request-id', request.id) })

  const routes: { readonly method: string, readonly pattern: RegExp }[] = []
  app.addHook('onRoute', (route: RouteOptions) => {
    for (const method of [route.method].flat()) routes.push({ method, pattern: patternOf(route.url) })
  })
  app.setNotFoundHandler((request, reply) => {
    const path = request.url.split('?')[0] ?? ''
    const allowed = [...new Set(routes.filter(({ pattern }) => pattern.test(path)).map(({ method }) => method))].sort().join(', ')
    if (allowed === '') return sendProblem(new BedplateError('NOT_FOUND', { what: 'page', id: path }), request, reply)
    void reply.header('allow', allowed)
    return sendProblem(new BedplateError('METHOD_NOT_ALLOWED', { method: request.method, allowed }), request, reply)
  })
  return app
}

const patternOf = (url: string): RegExp => new RegExp(`^${url.replace(/[.+?^${}()|[\]\\]/g, '\\$&').replace(/:[A-Za-z_]\w*/g, '[^/]+').replace(/\*/g, '.*')}$`)

/** Bodies are taken as they are; what comes as text (query, path, headers) is read as the schema's type. */
const exact = validator(false)
const coercing = validator('array')
const validatorFor = (part: string | undefined): Ajv => part === 'body' ? exact : coercing

function validator (coerceTypes: false | 'array'): Ajv {
  const ajv = new Ajv({ removeAdditional: false, useDefaults: true, coerceTypes, allErrors: false, strict: false, addUsedSchema: false })
  for (const [name] of Format.Entries()) ajv.addFormat(name, { type: 'string', validate: (value: string) => Format.Test(name, value) })
  return ajv
}

/** The schema with every object closed: a field nobody knows is a mistake worth telling, not one to drop. Parts of an `allOf` stay open. */
export function closed (schema: unknown): unknown {
  if (Array.isArray(schema)) return schema.map(closed)
  if (typeof schema !== 'object' || schema === null) return schema
  const result: Record<string, unknown> = {}
  for (const [key, value] of Object.entries(schema)) {
    if (key === 'properties' || key === '$defs') result[key] = Object.fromEntries(Object.entries(value as object).map(([name, part]) => [name, closed(part)]))
    else result[key] = key === 'items' || key === 'anyOf' || key === 'oneOf' ? closed(value) : value
  }
  if (result.type === 'object' && result.properties !== undefined && result.additionalProperties === undefined && result.unevaluatedProperties === undefined) result.additionalProperties = false
  return result
}
