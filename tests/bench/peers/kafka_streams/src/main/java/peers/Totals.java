package peers;

import java.util.List;
import java.util.Properties;
import org.apache.kafka.common.serialization.Serde;
import org.apache.kafka.common.serialization.Serdes;
import org.apache.kafka.common.utils.Bytes;
import org.apache.kafka.streams.KafkaStreams;
import org.apache.kafka.streams.KeyValue;
import org.apache.kafka.streams.StreamsBuilder;
import org.apache.kafka.streams.kstream.Consumed;
import org.apache.kafka.streams.kstream.Grouped;
import org.apache.kafka.streams.kstream.KStream;
import org.apache.kafka.streams.kstream.Materialized;
import org.apache.kafka.streams.processor.api.FixedKeyProcessor;
import org.apache.kafka.streams.processor.api.FixedKeyProcessorContext;
import org.apache.kafka.streams.processor.api.FixedKeyRecord;
import org.apache.kafka.streams.state.KeyValueStore;
import org.apache.kafka.streams.state.Stores;

/**
 * Daily totals of videos and channels: repeats dropped by event id in the client's partition, then two groupings.
 *
 * <p>Arguments: servers, application id, events, guarantee, dedupe (on or off), state folder.
 */
public final class Totals {
  private static final Serde<byte[]> BYTES = Serdes.ByteArray();
  private static final Serde<String> TEXT = Serdes.String();
  private static final String IDS = "ids";

  private Totals() {}

  public static void main(String[] args) {
    Report report = new Report(Long.parseLong(args[2]), 2);
    boolean dedupe = args[4].equals("on");
    StreamsBuilder builder = new StreamsBuilder();
    KStream<byte[], Event> events =
        builder.stream("watch.events", Consumed.with(BYTES, BYTES)).mapValues(value -> {
          report.first();
          return Event.of(value);
        });
    if (dedupe) {
      builder.addStateStore(
          Stores.keyValueStoreBuilder(Stores.persistentKeyValueStore(IDS), TEXT, Serdes.Long()));
      events = events.processValues(FirstOnly::new, IDS);
    }
    sum(events, "video", event -> event.video_id, report, 0);
    sum(events, "channel", event -> event.channel_name, report, 1);
    KafkaStreams streams = new KafkaStreams(builder.build(), settings(args[0], args[1], args[3], args[5]));
    streams.start();
  }

  private interface Id {
    String of(Event event);
  }

  private static void sum(KStream<byte[], Event> events, String name, Id id, Report report, int branch) {
    events
        .flatMap((key, event) -> {
          byte[] contribution = event == null ? null : event.contribution();
          String row = event == null ? null : id.of(event);
          return contribution == null || row == null
              ? List.<KeyValue<String, byte[]>>of()
              : List.of(KeyValue.pair(event.row(row), contribution));
        })
        .groupByKey(Grouped.with(name, TEXT, BYTES))
        .aggregate(
            () -> (byte[]) null,
            (key, contribution, counters) -> {
              byte[] sum = Event.add(counters, contribution);
              report.counted(branch);
              return sum;
            },
            Materialized.<String, byte[], KeyValueStore<Bytes, byte[]>>as("totals-" + name)
                .withKeySerde(TEXT)
                .withValueSerde(BYTES));
  }

  static Properties settings(String servers, String application, String guarantee, String folder) {
    Properties settings = new Properties();
    settings.put("bootstrap.servers", servers);
    settings.put("application.id", application);
    settings.put("processing.guarantee", guarantee);
    settings.put("state.dir", folder);
    settings.put("num.stream.threads", 1);
    settings.put("auto.offset.reset", "earliest");
    settings.put("replication.factor", "1");
    settings.put("statestore.cache.max.bytes", 10 * 1024 * 1024);
    // A process that ended without leaving is missed soon.
    settings.put("consumer.session.timeout.ms", 6_000);
    settings.put("consumer.heartbeat.interval.ms", 1_500);
    settings.put("producer.linger.ms", "100");
    settings.put("producer.compression.type", "lz4");
    return settings;
  }

  /** Passes on what was not seen before. */
  private static final class FirstOnly implements FixedKeyProcessor<byte[], Event, Event> {
    private FixedKeyProcessorContext<byte[], Event> context;
    private KeyValueStore<String, Long> ids;

    @Override
    public void init(FixedKeyProcessorContext<byte[], Event> context) {
      this.context = context;
      ids = context.getStateStore(IDS);
    }

    @Override
    public void process(FixedKeyRecord<byte[], Event> record) {
      Event event = record.value();
      if (event != null && ids.putIfAbsent(event.event_id, event.event_ts) == null) {
        context.forward(record);
      }
    }
  }
}
