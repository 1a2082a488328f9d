import { describe, expect, it } from 'vitest'
import { enrich, expectReading } from './enrich-line.ts'

const OWNER = '79a59df900b949e55d96a1e698fbacedfd6e09d98eacf8f8d5218e7cd47ef2be'
const INVOCATION = '8f507cfc-1111-4697-b07a-ac58fc914c95'

describe("a line of S3's access log", () => {
  it('is read into AWS and HTTP attributes, and stays the body', () => {
    const line = `${OWNER} bucket [06/Feb/2019:00:00:38 +0100] 192.0.2.3 arn:aws:iam::1:user/x 3E57427F REST.GET.OBJECT a/b.txt "GET /bucket/a/b.txt?x=1 HTTP/1.1" 404 NoSuchKey 297 - 38 - "-" "aws-cli" - host-id - - - host -`

    expectReading(line, '2019-02-05T23:00:38.000Z', null, null, line, {
      'aws.s3.bucket': 'bucket',
      'aws.s3.key': 'a/b.txt',
      'aws.request_id': '3E57427F',
      'client.address': '192.0.2.3',
      'http.request.method': 'GET',
      'url.path': '/bucket/a/b.txt',
      'url.query': 'x=1',
      'network.protocol.name': 'http',
      'network.protocol.version': '1.1',
      'http.response.status_code': 404,
    })
  })

  it('has no request when the service itself was at work', () => {
    const line = `${OWNER} bucket [06/Feb/2019:00:00:38 +0000] - AmazonS3 3E57427F S3.EXPIRE.OBJECT a/b.txt - - - - 3 - - "-" "-" -`

    expectReading(line, '2019-02-06T00:00:38.000Z', null, null, line, {
      'aws.s3.bucket': 'bucket',
      'aws.s3.key': 'a/b.txt',
      'aws.request_id': '3E57427F',
    })
  })

  it('is not seen in other lines with a date in brackets', () => {
    const line = 'seen twice [06/Feb/2019:00:00:38 +0000] by nobody'

    expectReading(line, null, null, null, line)
  })
})

describe('a line of the Lambda platform', () => {
  it.each([
    `START RequestId: ${INVOCATION} Version: $LATEST`,
    `END RequestId: ${INVOCATION}`,
    `REPORT RequestId: ${INVOCATION}\tDuration: 15.74 ms\tBilled Duration: 16 ms\tMemory Size: 128 MB`,
  ])('names its invocation, and stays the body: %s', (line) => {
    expectReading(line, null, null, null, line, { 'faas.invocation_id': INVOCATION })
  })

  it('has the trace of X-Ray', () => {
    const xray =
      'XRAY TraceId: 1-5759e988-bd862e3fe1be46a994272793\tSegmentId: 00f067aa0ba902b7\tSampled: true'

    expect(enrich(`REPORT RequestId: ${INVOCATION}\tDuration: 1 ms\t${xray}\t`)).toMatchObject({
      traceId: '5759e988bd862e3fe1be46a994272793',
      spanId: '00f067aa0ba902b7',
    })
  })
})
