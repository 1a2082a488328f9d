// Writes record batches with Apache Kafka's own encoder, one JSON line each: the java-* batches of golden.json.
//   javac -cp 'lib/*' MakeGolden.java && java -cp 'lib/*:.' MakeGolden
// with kafka-clients 4.1.0 and its lz4-java, snappy-java and zstd-jni in lib/.
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.util.HexFormat;
import org.apache.kafka.common.compress.Compression;
import org.apache.kafka.common.header.Header;
import org.apache.kafka.common.header.internals.RecordHeader;
import org.apache.kafka.common.record.*;

public class MakeGolden {
  static byte[] b(String s) { return s == null ? null : s.getBytes(StandardCharsets.UTF_8); }

  static void print(String name, ByteBuffer buffer) {
    byte[] bytes = new byte[buffer.remaining()];
    buffer.duplicate().get(bytes);
    System.out.println("{\"name\":\"" + name + "\",\"hex\":\"" + HexFormat.of().formatHex(bytes) + "\"}");
  }

  static Compression codec(String name) {
    switch (name) {
      case "gzip": return Compression.gzip().build();
      case "snappy": return Compression.snappy().build();
      case "lz4": return Compression.lz4().build();
      case "zstd": return Compression.zstd().build();
      default: return Compression.NONE;
    }
  }

  /** The five records that every small batch holds; golden.test.ts has the same list. */
  static void appendRecords(MemoryRecordsBuilder builder) {
    long t = 1_700_000_000_000L;
    builder.append(t, b("key"), b("value"));
    builder.append(t + 1, null, b("no key"));
    builder.append(t - 5, b("tombstone"), null);
    builder.append(t + 3_000_000_000L, b(""), b(""),
        new Header[] {new RecordHeader("h", b("1")), new RecordHeader("n", null), new RecordHeader("h", b("ü"))});
    builder.append(t + 2, b("k"), b("x".repeat(300)));
  }

  public static void main(String[] args) {
    for (String name : new String[] {"none", "gzip", "snappy", "lz4", "zstd"}) {
      MemoryRecordsBuilder builder = MemoryRecords.builder(ByteBuffer.allocate(4096), RecordBatch.MAGIC_VALUE_V2,
          codec(name), TimestampType.CREATE_TIME, 0L, RecordBatch.NO_TIMESTAMP, RecordBatch.NO_PRODUCER_ID,
          RecordBatch.NO_PRODUCER_EPOCH, RecordBatch.NO_SEQUENCE, false, -1);
      appendRecords(builder);
      print("java-" + name, builder.build().buffer());
      // One record over several compressed blocks (32 KiB in snappy, 64 KiB in LZ4).
      builder = MemoryRecords.builder(ByteBuffer.allocate(200_000), RecordBatch.MAGIC_VALUE_V2, codec(name),
          TimestampType.CREATE_TIME, 0L, RecordBatch.NO_TIMESTAMP, -1L, (short) -1, -1, false, -1);
      builder.append(1_700_000_000_000L, null, b("0123456789".repeat(7_000)));
      if (!name.equals("none")) print("java-" + name + "-blocks", builder.build().buffer());
    }
    // A broker's view: base offset, leader epoch, LogAppendTime; an idempotent and transactional producer.
    MemoryRecordsBuilder appended = MemoryRecords.builder(ByteBuffer.allocate(4096), RecordBatch.MAGIC_VALUE_V2,
        Compression.NONE, TimestampType.LOG_APPEND_TIME, 5_000_000_000L, 1_710_000_000_000L, 4242L, (short) 7, 1000,
        true, 9);
    appendRecords(appended);
    print("java-appended", appended.build().buffer());
    print("java-commit", MemoryRecords.withEndTransactionMarker(0L, 1_700_000_000_000L, -1, 4242L, (short) 7,
        new EndTransactionMarker(ControlRecordType.COMMIT, 3)).buffer());
    print("java-abort", MemoryRecords.withEndTransactionMarker(0L, 1_700_000_000_000L, -1, 4242L, (short) 7,
        new EndTransactionMarker(ControlRecordType.ABORT, 3)).buffer());
  }
}
