import java.time.Duration;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import java.util.Random;
import java.util.concurrent.atomic.AtomicInteger;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.NewTopic;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.ConsumerRecords;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.consumer.OffsetAndMetadata;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.KafkaException;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.errors.InvalidProducerEpochException;
import org.apache.kafka.common.errors.ProducerFencedException;

/**
 * Copies the topic "input" to "output" with three workers of one group, each record and its offset in one transaction. Workers abort
 * at random, and are thrown away at random with their transaction open. Prints how often each record was seen by a read_committed
 * reader, and ends with 1 when that is not once.
 */
public class TransactionCopy {
  private static String servers;
  private static volatile boolean isDone = false;
  private static final AtomicInteger commits = new AtomicInteger();
  private static final AtomicInteger aborts = new AtomicInteger();
  private static final AtomicInteger abandoned = new AtomicInteger();

  private static Properties properties(String... pairs) {
    Properties properties = new Properties();
    properties.put("bootstrap.servers", servers);
    for (String side : List.of("key", "value")) {
      properties.put(side + ".serializer", "org.apache.kafka.common.serialization.StringSerializer");
      properties.put(side + ".deserializer", "org.apache.kafka.common.serialization.StringDeserializer");
    }
    for (int index = 0; index < pairs.length; index += 2) properties.put(pairs[index], pairs[index + 1]);
    return properties;
  }

  private static void work(int id, int batches, Random random) {
    KafkaProducer<String, String> producer = new KafkaProducer<>(
        properties("transactional.id", "copy-" + id, "transaction.timeout.ms", "10000"));
    KafkaConsumer<String, String> consumer = new KafkaConsumer<>(properties(
        "group.id", "copiers", "enable.auto.commit", "false", "isolation.level", "read_committed",
        "auto.offset.reset", "earliest", "max.poll.records", "50", "session.timeout.ms", "6000",
        "heartbeat.interval.ms", "500"));
    try {
      producer.initTransactions();
      consumer.subscribe(List.of("input"));
      for (int count = 0; count < batches && !isDone; ) {
        ConsumerRecords<String, String> records = consumer.poll(Duration.ofMillis(200));
        if (records.isEmpty()) continue;
        count++;
        try {
          producer.beginTransaction();
          Map<TopicPartition, OffsetAndMetadata> offsets = new HashMap<>();
          for (ConsumerRecord<String, String> record : records) {
            producer.send(new ProducerRecord<>("output", record.key(), record.value()));
            offsets.put(new TopicPartition(record.topic(), record.partition()), new OffsetAndMetadata(record.offset() + 1));
          }
          producer.sendOffsetsToTransaction(offsets, consumer.groupMetadata());
          if (random.nextInt(5) == 0) throw new KafkaException("made up");
          if (random.nextInt(12) == 0) {
            abandoned.incrementAndGet();
            return;
          }
          producer.commitTransaction();
          commits.incrementAndGet();
        } catch (ProducerFencedException | InvalidProducerEpochException fenced) {
          return;
        } catch (KafkaException failed) {
          producer.abortTransaction();
          aborts.incrementAndGet();
          Map<TopicPartition, OffsetAndMetadata> committed = consumer.committed(consumer.assignment());
          for (TopicPartition partition : consumer.assignment()) {
            OffsetAndMetadata offset = committed.get(partition);
            if (offset == null) consumer.seekToBeginning(List.of(partition));
            else consumer.seek(partition, offset.offset());
          }
        }
      }
    } finally {
      producer.close(Duration.ZERO);
      consumer.close(Duration.ofSeconds(1));
    }
  }

  public static void main(String[] arguments) throws Exception {
    servers = arguments[0];
    int total = Integer.parseInt(arguments[1]);
    try (Admin admin = Admin.create(properties())) {
      admin.createTopics(List.of(new NewTopic("input", 6, (short) 1), new NewTopic("output", 6, (short) 1))).all().get();
    }
    try (KafkaProducer<String, String> producer = new KafkaProducer<>(properties("linger.ms", "5"))) {
      for (int index = 0; index < total; index++) producer.send(new ProducerRecord<>("input", "k" + index, "v" + index));
    }
    for (int id = 0; id < 3; id++) {
      int number = id;
      Thread thread = new Thread(() -> {
        Random random = new Random(number);
        while (!isDone) {
          try {
            work(number, 5 + random.nextInt(20), random);
          } catch (RuntimeException error) {
            System.out.println("worker " + number + ": " + error);
          }
        }
      });
      thread.setDaemon(true);
      thread.start();
    }
    Map<String, Integer> seen = new HashMap<>();
    try (KafkaConsumer<String, String> reader = new KafkaConsumer<>(properties(
        "group.id", "reader", "isolation.level", "read_committed", "auto.offset.reset", "earliest"))) {
      reader.subscribe(List.of("output"));
      long latestMs = System.currentTimeMillis();
      while (System.currentTimeMillis() - latestMs < (seen.size() >= total ? 3000 : 30000)) {
        for (ConsumerRecord<String, String> record : reader.poll(Duration.ofMillis(200))) {
          seen.merge(record.value(), 1, Integer::sum);
          latestMs = System.currentTimeMillis();
        }
      }
    }
    isDone = true;
    long twice = seen.values().stream().filter(count -> count > 1).count();
    System.out.printf("seen %d of %d, %d more than once; %d commits, %d aborts, %d abandoned%n",
        seen.size(), total, twice, commits.get(), aborts.get(), abandoned.get());
    System.exit(seen.size() == total && twice == 0 ? 0 : 1);
  }
}
