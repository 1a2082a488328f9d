import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { MessagePairs } from '../../src/topology/message-pairs.ts'
import { enrichAtBoth } from './enrich-line.ts'

function pairsOf(text: string): [string, string][] {
  const pairs = new MessagePairs()
  // What a message before it had is not seen.
  pairs.find('<a b="c"> x=1 y=2 z=3')
  const count = pairs.find(text)
  return pairs.keys.slice(0, count).map((key, index) => [key, pairs.values[index] as string])
}

describe('pairs in a message', () => {
  it.each([
    ["can't open file=/tmp/x mode=r user=o'brien", { file: '/tmp/x', mode: 'r', user: "o'brien" }],
    ["it's name='John Smith' age='42', city=Paris", { name: 'John Smith', age: '42', city: 'Paris' }],
    ["b='it''s' c=2", { b: "it''s", c: '2' }],
    ["for 'user=bob' and role='x y': n=3", { role: 'x y', n: '3' }],
    ["a='open b=2", { b: '2' }],
    ['a="b c" d="e \\"f\\" \\\\" h=1', { a: 'b c', d: 'e "f" \\', h: '1' }],
    ['cmd="it\'s <b>" x=1', { cmd: "it's <b>", x: '1' }],
    ['x=1 y="open z=3', { x: '1' }],
    ['a="b"/> c=1', { c: '1' }],
    ["Foo(a=1, b='two words', c=[1, 2], d=None)", { a: '1', b: 'two words', d: 'None' }],
    ['k1=v1, k2=v2; k3=v3|k4=v4.', { k1: 'v1', k2: 'v2', k3: 'v3', k4: 'v4' }],
    [
      'to=<user@shop.example>, relay=none, status=sent (250 Ok)',
      { to: '<user@shop.example>', relay: 'none', status: 'sent' },
    ],
    ['[LAN-default-A]IN=eth0 OUT= SRC=192.0.2.1', { IN: 'eth0', SRC: '192.0.2.1' }],
    ['price<100 && x=1 || y=2', { x: '1', y: '2' }],
  ])('are found in %s', (text, pairs) => {
    expect(Object.fromEntries(pairsOf(text))).toEqual(pairs)
  })

  it.each([
    ['<a href="x" class="y">link</a> clicked'],
    ['Rendered <img src="/a.png" alt=\'b\'> in 3 ms'],
    ['<td width="10" height=20>cell x=1</td> <p class=y>'],
    ['<?xml version="1.0" encoding="UTF-8"?><soap:Envelope xmlns:soap="http://x" xmlns:y="z"/>'],
    ['cut off <input type="text" name="q'],
    ['&lt;a href=&quot;x&quot; class=y&gt;'],
    ['<script>var a=1; var b=2;</script>'],
    ["SELECT * FROM t WHERE a='b' AND c='d' OR e=1"],
    ['UPDATE t SET a=1'],
    ['a==1 b==2'],
  ])('are none in %s', (text) => {
    expect(pairsOf(text)).toEqual([])
  })

  it('are found beside markup', () => {
    expect(pairsOf('uid=0 <input type="text" value="it\'s"> is invalid gid=1')).toEqual([
      ['uid', '0'],
      ['gid', '1'],
    ])
    expect(pairsOf('uid=0 <a href="x"><b c="d">y=1</b></a> gid=1')).toEqual([
      ['uid', '0'],
      ['gid', '1'],
    ])
  })

  it('are of the text, whatever it is', () => {
    const piece = fc.constantFrom(
      'a',
      '=',
      "'",
      '"',
      '\\',
      ' ',
      ',',
      '<a ',
      '</a>',
      '>',
      '&lt;',
      '(',
      'b=1 ',
      '.',
    )
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 30 }), (pieces) => {
        const text = pieces.join('')
        for (const [key, value] of pairsOf(text)) {
          expect(text).toContain(`${key}=`)
          expect(text.replaceAll('\\', '')).toContain(value.replaceAll('\\', ''))
        }
      }),
      { numRuns: 2_000, seed: Number(process.env['GOPHERSHIP_SEED'] ?? 20240630) },
    )
  })

  it('take no time to speak of among many tags and quotes', () => {
    const started = performance.now()
    for (const text of ['<a ', '<', "a='", " a='b", 'a="', '&lt;a ', 'a=b" ']) pairsOf(text.repeat(10_000))

    expect(performance.now() - started).toBeLessThan(1_000)
  })
})

describe('JSON that was cut short', () => {
  it.each(['{"cursor":"s=1; i=2; b=3;', '{ "a": "x=1 y=2", "b', '[{"a":"x=1 y=2"'])(
    'has no pairs: %s',
    (line) => {
      expect(enrichAtBoth(line)).toMatchObject({ body: line, attributes: {} })
    },
  )
})

describe('a list of pairs', () => {
  it('is a message and not logfmt, and its values have no commas', () => {
    expect(enrichAtBoth('level=error, code=5, time=2023-01-02T12:00:00Z, name="a, b"')).toMatchObject({
      timestamp: '2023-01-02T12:00:00.000Z',
      severityText: 'error',
      body: 'level=error, code=5, time=2023-01-02T12:00:00Z, name="a, b"',
      attributes: { code: '5', name: 'a, b' },
    })
  })
})
