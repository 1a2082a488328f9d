/**
 * SaslHandshake: chooses the mechanism before authentication.
 *
 * v0 raw SASL bytes follow on the connection; v1 they travel in SaslAuthenticate (KIP-152). Never flexible.
 */

import { defineApi } from './api.ts'
import { array, int16, string } from './fields.ts'

export const saslHandshakeApi = defineApi({
  key: 17,
  name: 'SaslHandshake',
  versions: [0, 1],

  request: {
    mechanism: string(),
  },
  response: {
    errorCode: int16(),
    mechanisms: array(string()),
  },
})
