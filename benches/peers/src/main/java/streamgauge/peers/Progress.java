package streamgauge.peers;

import java.io.IOException;
import java.io.StringWriter;
import java.io.UncheckedIOException;
import java.lang.management.ManagementFactory;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.concurrent.atomic.AtomicLong;

import com.fasterxml.jackson.core.JsonFactory;
import com.fasterxml.jackson.core.JsonGenerator;

/** What a contender counted, and what it cost. One thread writes, another may look on. */
final class Progress {
    /** From here on CPU is "steady": the machine has started, and compiled most of what it will compile. */
    private static final double STEADY_FROM = 0.1;

    final long expected;
    private final long steadyFrom;
    private long steadyCpuNs;
    private long steadyRecords;

    /** Records read. */
    private final AtomicLong records = new AtomicLong();
    /** Records that are in a pane, be it emitted or open. */
    private final AtomicLong counted = new AtomicLong();
    /** Undecodable, from the future, or too late. */
    private final AtomicLong rejected = new AtomicLong();
    /** Events of emitted panes. */
    long emitted;
    long outputs;
    long outputBytes;
    long transactions;

    Progress(long expected) {
        this.expected = expected;
        this.steadyFrom = (long) (expected * STEADY_FROM);
    }

    void read() {
        long now = increment(records);
        if (now == steadyFrom) {
            steadyCpuNs = cpuNs();
            steadyRecords = now;
        }
    }

    void counted() {
        increment(counted);
    }

    void rejected() {
        increment(rejected);
    }

    /** With one writer no locked instruction is needed. */
    private static long increment(AtomicLong number) {
        long now = number.getPlain() + 1;
        number.setRelease(now);
        return now;
    }

    void output(byte[] value) {
        outputs++;
        outputBytes += value.length;
    }

    long records() {
        return records.get();
    }

    long settled() {
        return counted.get() + rejected.get();
    }

    /** One line for whoever started this process. */
    String line(String contender, long droppedByStreams) {
        long cpu = cpuNs();
        long wallNs = (System.currentTimeMillis() - ManagementFactory.getRuntimeMXBean().getStartTime()) * 1_000_000;
        long[] ticks = ticks();
        StringWriter out = new StringWriter();
        try (JsonGenerator json = new JsonFactory().createGenerator(out)) {
            json.writeStartObject();
            json.writeStringField("contender", contender);
            json.writeNumberField("records", records.get());
            json.writeNumberField("counted", counted.get());
            json.writeNumberField("dropped", rejected.get() + droppedByStreams);
            json.writeNumberField("emitted", emitted);
            json.writeNumberField("cpu_ns", cpu);
            json.writeNumberField("user_ns", ticks[0]);
            json.writeNumberField("system_ns", ticks[1]);
            json.writeNumberField("steady_cpu_ns", cpu - steadyCpuNs);
            json.writeNumberField("steady_records", records.get() - steadyRecords);
            json.writeNumberField("wall_ns", wallNs);
            json.writeNumberField("outputs", outputs);
            json.writeNumberField("output_bytes", outputBytes);
            json.writeNumberField("transactions", transactions);
            json.writeEndObject();
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
        return out.toString();
    }

    /** User and system time of the whole process: the compiler and the garbage collector, too. */
    private static long cpuNs() {
        return ((com.sun.management.OperatingSystemMXBean) ManagementFactory.getOperatingSystemMXBean())
            .getProcessCpuTime();
    }

    /** The same in steps of 10 ms, as the kernel tells user and system apart. */
    private static long[] ticks() {
        try {
            String stat = Files.readString(Path.of("/proc/self/stat"));
            String[] fields = stat.substring(stat.lastIndexOf(')') + 2).split(" ");
            return new long[] {Long.parseLong(fields[11]) * 10_000_000, Long.parseLong(fields[12]) * 10_000_000};
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }
}
