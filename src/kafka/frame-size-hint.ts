/**
 * What a nonsense frame size really was. A peer that does not speak Kafka sends other bytes where the four size
 * bytes should be; naming them turns "frame too large" into something a person can act on (KIP-498's concern).
 */

/** A sentence for a person, or null when the size tells nothing. `size` may be given signed or unsigned. */
export function hintForFrameSize(size: number): string | null {
  const unsigned = size >>> 0
  const firstByte = unsigned >>> 24
  const secondByte = (unsigned >>> 16) & 0xff
  if (secondByte === 3 && firstByte === 0x15) {
    return 'these bytes are a TLS alert: the server expects TLS on this port, and the client is speaking plain text'
  }
  if (secondByte === 3 && firstByte === 0x16)
    return 'these bytes are a TLS handshake: the peer speaks TLS on this port'
  const text = Buffer.from([firstByte, secondByte, (unsigned >>> 8) & 0xff, unsigned & 0xff]).toString(
    'latin1',
  )
  if (text === 'HTTP') return 'these bytes are an HTTP answer: this is a web server, not a Kafka listener'
  if (/^(?:GET |POST|PUT |HEAD|OPTI|DELE|PATC)$/.test(text)) return 'these bytes are an HTTP request'
  if (text === 'SSH-') return 'these bytes are an SSH greeting: this is not a Kafka listener'
  return null
}
