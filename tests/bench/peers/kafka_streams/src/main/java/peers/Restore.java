package peers;

import java.util.Locale;
import java.util.concurrent.atomic.AtomicLong;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.serialization.Serdes;
import org.apache.kafka.streams.KafkaStreams;
import org.apache.kafka.streams.StreamsBuilder;
import org.apache.kafka.streams.kstream.Consumed;
import org.apache.kafka.streams.processor.StateRestoreListener;
import org.apache.kafka.streams.processor.api.Processor;
import org.apache.kafka.streams.processor.api.ProcessorContext;
import org.apache.kafka.streams.processor.api.Record;
import org.apache.kafka.streams.state.KeyValueStore;
import org.apache.kafka.streams.state.Stores;

/**
 * One store with a key for each event id. Arguments: servers, application id, events, state folder.
 *
 * <p>With events: puts so many keys and stops cleanly. With 0 events: restores them into the (empty) folder.
 */
public final class Restore {
  private static final String IDS = "ids";

  private Restore() {}

  public static void main(String[] args) throws InterruptedException {
    long wanted = Long.parseLong(args[2]);
    AtomicLong put = new AtomicLong();
    StreamsBuilder builder = new StreamsBuilder();
    builder.addStateStore(
        Stores.keyValueStoreBuilder(Stores.persistentKeyValueStore(IDS), Serdes.String(), Serdes.Long()));
    builder
        .stream("watch.events", Consumed.with(Serdes.ByteArray(), Serdes.ByteArray()))
        .process(() -> new Put(put), IDS);
    KafkaStreams streams =
        new KafkaStreams(builder.build(), Totals.settings(args[0], args[1], "at_least_once", args[3]));
    if (wanted > 0) {
      streams.start();
      while (put.get() < wanted) {
        Thread.sleep(100);
      }
      streams.close();
      Report.end(String.format(Locale.ROOT, "\"keys\": %d", put.get()));
    }
    watch(streams);
    streams.start();
  }

  private static void watch(KafkaStreams streams) {
    long startedNs = System.nanoTime();
    AtomicLong firstNs = new AtomicLong();
    AtomicLong keys = new AtomicLong();
    streams.setGlobalStateRestoreListener(new StateRestoreListener() {
      @Override
      public void onRestoreStart(TopicPartition partition, String store, long first, long end) {
        firstNs.compareAndSet(0, System.nanoTime());
      }

      @Override
      public void onBatchRestored(TopicPartition partition, String store, long end, long count) {
        keys.addAndGet(count);
      }

      @Override
      public void onRestoreEnd(TopicPartition partition, String store, long total) {}
    });
    streams.setStateListener((now, before) -> {
      if (now == KafkaStreams.State.RUNNING && keys.get() > 0) {
        long endNs = System.nanoTime();
        Report.end(String.format(Locale.ROOT, "\"keys\": %d, \"seconds\": %.4f, \"with_start_s\": %.4f",
            keys.get(), (endNs - firstNs.get()) / 1e9, (endNs - startedNs) / 1e9));
      }
    });
  }

  private static final class Put implements Processor<byte[], byte[], Void, Void> {
    private final AtomicLong put;
    private KeyValueStore<String, Long> ids;

    private Put(AtomicLong put) {
      this.put = put;
    }

    @Override
    public void init(ProcessorContext<Void, Void> context) {
      ids = context.getStateStore(IDS);
    }

    @Override
    public void process(Record<byte[], byte[]> record) {
      Event event = Event.of(record.value());
      if (event != null) {
        ids.put(event.event_id, event.event_ts);
        put.incrementAndGet();
      }
    }
  }
}
