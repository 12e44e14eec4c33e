package peers;

import com.sun.management.OperatingSystemMXBean;
import java.io.IOException;
import java.lang.management.ManagementFactory;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Locale;
import java.util.concurrent.atomic.AtomicLong;

/** Counts events from the first to the last and prints one line of JSON at the end. */
final class Report {
  private final long events;
  private final AtomicLong[] branches;
  private volatile long startedNs;
  private volatile long cpuNs;

  /** Every one of `branches` has to see all of the events. */
  Report(long events, int branches) {
    this.events = events;
    this.branches = new AtomicLong[branches];
    for (int n = 0; n < branches; n++) {
      this.branches[n] = new AtomicLong();
    }
  }

  /** The first event has come; later calls do nothing. */
  void first() {
    if (startedNs == 0) {
      synchronized (this) {
        if (startedNs == 0) {
          cpuNs = cpuNs();
          startedNs = System.nanoTime();
        }
      }
    }
  }

  /** A branch is done with an event; the last one of all ends the process. */
  void counted(int branch) {
    branches[branch].incrementAndGet();
    for (AtomicLong done : branches) {
      if (done.get() < events) {
        return;
      }
    }
    end(String.format(Locale.ROOT, "\"events\": %d, \"seconds\": %.4f, \"cpu_s\": %.4f",
        events, (System.nanoTime() - startedNs) / 1e9, (cpuNs() - cpuNs) / 1e9));
  }

  /** Prints the figures and ends the process without clean-up. */
  static void end(String figures) {
    System.out.printf(Locale.ROOT, "RESULT {%s, \"rss_mb\": %.1f}%n", figures, peakMb());
    System.out.flush();
    Runtime.getRuntime().halt(0);
  }

  private static long cpuNs() {
    return ((OperatingSystemMXBean) ManagementFactory.getOperatingSystemMXBean()).getProcessCpuTime();
  }

  private static double peakMb() {
    try {
      for (String line : Files.readAllLines(Path.of("/proc/self/status"))) {
        if (line.startsWith("VmHWM")) {
          return Long.parseLong(line.replaceAll("\\D", "")) / 1024.0;
        }
      }
    } catch (IOException error) {
      throw new IllegalStateException("the peak of memory is read from /proc", error);
    }
    return 0;
  }
}
