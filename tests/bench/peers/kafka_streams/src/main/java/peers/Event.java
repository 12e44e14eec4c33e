package peers;

import com.fasterxml.jackson.annotation.JsonIgnoreProperties;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.ObjectReader;
import java.io.IOException;
import java.nio.ByteBuffer;

/** The fields of an event that counting looks at. */
@JsonIgnoreProperties(ignoreUnknown = true)
public final class Event {
  private static final ObjectReader READER = new ObjectMapper().readerFor(Event.class);
  private static final long DAY_MS = 86_400_000L;
  private static final int FOREGROUND = 0;
  private static final int BACKGROUND = 1;
  private static final int VIEWS = 2;
  private static final int COUNTERS = 3;

  public String event_id;
  public String event_type;
  public String video_id;
  public String channel_name;
  public String watch_mode;
  public long event_ts;
  public long watch_ms_delta;

  /** Returns the event of a record, null when it is none. */
  static Event of(byte[] value) {
    try {
      return READER.readValue(value);
    } catch (IOException error) {
      return null;
    }
  }

  /** Returns the key of a row: day and id. */
  String row(String id) {
    return event_ts / DAY_MS + "|" + id;
  }

  /** Returns what the event adds, as counter number and amount in nine bytes; null when nothing. */
  byte[] contribution() {
    if ("video_start".equals(event_type)) {
      return ByteBuffer.allocate(9).put((byte) VIEWS).putLong(1).array();
    }
    if (!"watch_tick".equals(event_type) || watch_ms_delta <= 0 || video_id == null) {
      return null;
    }
    int counter = "background".equals(watch_mode) ? BACKGROUND : FOREGROUND;
    return ByteBuffer.allocate(9).put((byte) counter).putLong(watch_ms_delta).array();
  }

  /** Returns the counters of a row with a contribution added; null stands for a new row. */
  static byte[] add(byte[] counters, byte[] contribution) {
    ByteBuffer sum = ByteBuffer.allocate(8 * COUNTERS);
    if (counters != null) {
      sum.put(counters, 0, 8 * COUNTERS);
    }
    int at = 8 * contribution[0];
    sum.putLong(at, sum.getLong(at) + ByteBuffer.wrap(contribution).getLong(1));
    return sum.array();
  }
}
