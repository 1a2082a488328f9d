import { describe, expect, it } from 'vitest'
import { enrich } from '../enrich-line.ts'

const HEAD = '203.0.113.9 - - [17/May/2015:10:05:03 +0000]'

describe('the access-log stage', () => {
  it('reads the common format', () => {
    expect(enrich(`${HEAD} "GET / HTTP/1.0" 304 -`).attributes).toEqual({
      'client.address': '203.0.113.9',
      'http.request.method': 'GET',
      'url.path': '/',
      'network.protocol.name': 'http',
      'network.protocol.version': '1.0',
      'http.response.status_code': 304,
    })
  })

  it('reads a virtual host in front', () => {
    const line = 'www.example.com:443 203.0.113.9 - bob [17/May/2015:10:05:03 +0000] "GET / HTTP/2.0" 200 5'

    expect(enrich(line).attributes).toMatchObject({
      'server.address': 'www.example.com',
      'server.port': 443,
      'client.address': '203.0.113.9',
      'user.name': 'bob',
      'network.protocol.version': '2',
    })
  })

  it.each([
    [
      'no user agent',
      `${HEAD} "GET /a HTTP/1.1" 200 1 "-"`,
      { 'url.path': '/a', 'http.response.status_code': 200 },
    ],
    [
      'an agent that is cut short',
      `${HEAD} "GET /a HTTP/1.1" 200 1 "-" "Mozilla/5.0 (comp`,
      { 'user_agent.original': 'Mozilla/5.0 (comp' },
    ],
    [
      'a referer that is cut short',
      `${HEAD} "GET /a HTTP/1.1" 200 1 "http://x`,
      { 'http.request.header.referer': ['http://x'] },
    ],
    ['a request that is cut short', `${HEAD} "GET /a`, { 'http.request.method': 'GET', 'url.path': '/a' }],
    [
      'an agent with quotes',
      `${HEAD} "GET /a HTTP/1.1" 200 1 "-" "a \\"b\\" c\\\\"`,
      { 'user_agent.original': 'a "b" c\\' },
    ],
    [
      'more fields behind the agent',
      `${HEAD} "GET /a HTTP/1.1" 200 1 "-" "ua" "198.51.100.1" rt=0.1`,
      { 'user_agent.original': 'ua' },
    ],
    ['an empty agent', `${HEAD} "GET /a HTTP/1.1" 200 1 "-" ""`, { 'http.response.status_code': 200 }],
    [
      'an IPv6 client',
      '2001:db8::1 - - [17/May/2015:10:05:03 +0000] "GET / HTTP/1.1" 200 1',
      { 'client.address': '2001:db8::1' },
    ],
    [
      'a client with its port',
      '203.0.113.9:51123 - - [17/May/2015:10:05:03 +0000] "GET / HTTP/1.1" 200 1',
      { 'client.address': '203.0.113.9', 'client.port': 51123 },
    ],
    [
      'a user with spaces',
      '203.0.113.9 - John Q [Doe] [17/May/2015:10:05:03 +0000] "GET / HTTP/1.1" 200 1',
      { 'user.name': 'John Q [Doe]' },
    ],
    ['a target with spaces', `${HEAD} "GET /a b c HTTP/1.1" 200 1`, { 'url.path': '/a b c' }],
    [
      'a target with two question marks',
      `${HEAD} "GET /a?b?c=#d HTTP/1.1" 200 1`,
      { 'url.path': '/a', 'url.query': 'b?c=#d' },
    ],
    [
      'an absolute target',
      `${HEAD} "GET http://x.example/p?q HTTP/1.1" 200 1`,
      { 'url.full': 'http://x.example/p?q', 'url.scheme': 'http', 'url.path': '/p', 'url.query': 'q' },
    ],
    [
      'a target that is an asterisk',
      `${HEAD} "OPTIONS * HTTP/1.0" 200 -`,
      { 'http.request.method': 'OPTIONS', 'url.path': '*' },
    ],
    [
      'CONNECT',
      `${HEAD} "CONNECT x.example:443 HTTP/1.1" 200 1`,
      { 'http.request.method': 'CONNECT', 'url.original': 'x.example:443' },
    ],
    [
      'a method nobody knows',
      `${HEAD} "PROPFIND /dav HTTP/1.1" 207 1`,
      { 'http.request.method': '_OTHER', 'http.request.method_original': 'PROPFIND', 'url.path': '/dav' },
    ],
    ['HTTP/0.9', `${HEAD} "GET /old" 200 1`, { 'http.request.method': 'GET', 'url.path': '/old' }],
  ])('reads a line with %s', (_what, line, attributes) => {
    const event = enrich(line)

    expect(event.timestamp).toBe('2015-05-17T10:05:03.000Z')
    expect(event.body).toBe(line)
    expect(event.attributes).toMatchObject(attributes)
  })

  it.each(['-', '', '\\x16\\x03\\x01\\x02', 'hello world', '\\n'])(
    'reads no method out of the request "%s"',
    (request) => {
      const { attributes } = enrich(`${HEAD} "${request}" 400 226 "-" "-"`)

      expect(attributes).toEqual({
        'client.address': '203.0.113.9',
        'http.response.status_code': 400,
        'http.response.body.size': 226,
      })
    },
  )

  it("reads Envoy's lines, whose time stands first", () => {
    const line = '[2016-04-15T20:17:00.310Z] "POST /api/v1/locations HTTP/2" 204 - 154 0 226 100 "10.0.35.28"'

    expect(enrich(line)).toMatchObject({
      timestamp: '2016-04-15T20:17:00.310Z',
      body: line,
      attributes: {
        'http.request.method': 'POST',
        'url.path': '/api/v1/locations',
        'http.response.status_code': 204,
      },
    })
  })

  it("reads IIS's lines, whose times are in UTC in every zone", () => {
    const line =
      '2023-01-02 12:00:00 10.0.0.1 GET /path q=1 80 - 192.0.2.7 Mozilla/5.0+(X) https://r.example/ 200 0 0 15'

    expect(enrich(line).attributes).toMatchObject({
      'client.address': '192.0.2.7',
      'url.query': 'q=1',
      'user_agent.original': 'Mozilla/5.0 (X)',
      'http.request.header.referer': ['https://r.example/'],
      'http.response.status_code': 200,
    })
    expect(enrich(line).timestamp).toBe('2023-01-02T12:00:00.000Z')
  })
})
