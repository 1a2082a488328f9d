/**
 * SaslAuthenticate: one step of authentication.
 *
 * v1 the session's lifetime (KIP-368); v2 flexible.
 */

import { defineApi } from './api.ts'
import { bytes, int16, int64, string } from './fields.ts'

export const saslAuthenticateApi = defineApi({
  key: 36,
  name: 'SaslAuthenticate',
  versions: [0, 2],
  flexibleFrom: 2,
  request: {
    authBytes: bytes(),
  },
  response: {
    errorCode: int16(),
    errorMessage: string({ nullable: true }),
    authBytes: bytes(),
    sessionLifetimeMs: int64({ since: 1 }),
  },
})
