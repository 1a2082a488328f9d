/**
 * The request line of HTTP as access logs quote it, into OpenTelemetry's HTTP, URL and network attributes. Scanners
 * send what they like, so a request that is no request line gives no attribute.
 */

import type { FieldMap } from './field-map.ts'

/** The methods that the semantic conventions know; any other is `_OTHER`, with its own name beside it. */
const METHODS: ReadonlySet<string> = new Set([
  'GET',
  'HEAD',
  'POST',
  'PUT',
  'DELETE',
  'CONNECT',
  'OPTIONS',
  'TRACE',
  'PATCH',
  'QUERY',
])

const METHOD_CHARS_MAX = 32

/** Reads `GET /path?query HTTP/1.1` between two indexes. Adds names that must not be in `attributes` yet. */
export function placeRequest(attributes: FieldMap, line: string, at: number, end: number): void {
  const methodEnd = line.indexOf(' ', at)
  if (methodEnd <= at || methodEnd >= end || methodEnd - at > METHOD_CHARS_MAX) return
  const method = line.slice(at, methodEnd)
  const isKnown = METHODS.has(method)
  if (!isKnown && !isMethodName(method)) return

  const protocolAt = line.lastIndexOf(' ', end - 1)
  const hasProtocol = protocolAt > methodEnd && line.startsWith('HTTP/', protocolAt + 1)
  // Without a protocol only a known method makes it a request (HTTP/0.9): "hello world" is none.
  if (!isKnown && !hasProtocol) return
  if (isKnown) {
    attributes.set('http.request.method', method)
  } else {
    attributes.set('http.request.method', '_OTHER')
    attributes.set('http.request.method_original', method)
  }
  placeTarget(attributes, line.slice(methodEnd + 1, hasProtocol ? protocolAt : end), method)
  if (!hasProtocol) return
  attributes.set('network.protocol.name', 'http')
  const version = line.slice(protocolAt + 6, end)
  if (version.length > 0) attributes.set('network.protocol.version', version === '2.0' ? '2' : version)
}

/** The request target: a path with its query, an absolute URL (proxies), an authority (CONNECT), or `*`. */
function placeTarget(attributes: FieldMap, target: string, method: string): void {
  let path = target
  if (target.charCodeAt(0) !== 0x2f) {
    const schemeEnd = target.indexOf('://')
    if (schemeEnd > 0 && schemeEnd < 10 && !target.slice(0, schemeEnd).includes('/')) {
      const pathAt = target.indexOf('/', schemeEnd + 3)
      attributes.set('url.full', target)
      attributes.set('url.scheme', target.slice(0, schemeEnd))
      path = pathAt < 0 ? '/' : target.slice(pathAt)
    } else if (method === 'CONNECT') {
      attributes.set('url.original', target)
      return
    }
  }
  const queryAt = path.indexOf('?')
  attributes.set('url.path', queryAt < 0 ? path : path.slice(0, queryAt))
  if (queryAt >= 0) attributes.set('url.query', path.slice(queryAt + 1))
}

/** A token of RFC 9110 made of letters, digits, `-` and `_`, as every registered method is. */
function isMethodName(text: string): boolean {
  for (let at = 0; at < text.length; at += 1) {
    const char = text.charCodeAt(at)
    const isNameChar =
      (char >= 0x41 && char <= 0x5a) ||
      (char >= 0x61 && char <= 0x7a) ||
      (char >= 0x30 && char <= 0x39) ||
      char === 0x2d ||
      char === 0x5f
    if (!isNameChar) return false
  }
  return true
}
