/** The methods the core itself answers, beside those of the plugins. */
import { Type } from 'typebox'
import { method, type Manifest } from '../plugin.ts'

export const coreMethods = {
  name: 'core',
  rpc: {
    renew: method({
      answeredBy: 'region', idempotent: true,
      params: Type.Object({ csr: Type.String({ maxLength: 8192 }) }),
      result: Type.Object({ certificate: Type.String(), authority: Type.String() })
    })
  }
} satisfies Pick<Manifest, 'name' | 'rpc'>
