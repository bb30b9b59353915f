package streamgauge.peers;

import java.nio.ByteBuffer;
import java.util.Arrays;

import org.HdrHistogram.Histogram;
import org.HdrHistogram.IntCountsHistogram;

/** One series in one pane: counts, and the latencies of successes. */
final class Cell {
    static final long VALUE_US_MAX = 3_600_000_000L;
    private static final int SIGNIFICANT_DIGITS = 2;
    private static final int FIXED_BYTES = 9 * Long.BYTES;

    long n;
    long good;
    long failed;
    long unjudged;
    long sumUs;
    long minUs = Long.MAX_VALUE;
    long maxUs;
    long overflow;
    long newestUs;
    /** The n that a state store knows of; where there is none, not used. */
    long savedN;
    /** Latencies as an array of all counters, which is fast to count in; absent until there is one. */
    IntCountsHistogram latency;
    /** Or as those counters alone that are in use, which is fast to write and read: for the DSL, and else absent. */
    SparseCounters sparse;

    static Cell sparse() {
        Cell cell = new Cell();
        cell.sparse = new SparseCounters();
        return cell;
    }

    void add(Request request) {
        n++;
        newestUs = Math.max(newestUs, request.tsUs);
        switch (request.verdict) {
            case GOOD -> good++;
            case FAILED -> failed++;
            case UNJUDGED -> unjudged++;
        }
        long us = request.latencyUs;
        if (us < 0 || request.verdict == Request.Verdict.FAILED) {
            return;
        }
        sumUs = Math.addExact(sumUs, us);
        minUs = Math.min(minUs, us);
        maxUs = Math.max(maxUs, us);
        if (us > VALUE_US_MAX) {
            overflow++;
            return;
        }
        if (sparse != null) {
            sparse.record(us);
            return;
        }
        if (latency == null) {
            latency = new IntCountsHistogram(1, VALUE_US_MAX, SIGNIFICANT_DIGITS);
        }
        latency.recordValue(us);
    }

    /** For one thread: keeps the buffer that HdrHistogram wants, which is several times what comes out. */
    static final class Encoder {
        private final ByteBuffer buffer;

        Encoder() {
            buffer = ByteBuffer.allocate(
                FIXED_BYTES + new Histogram(1, VALUE_US_MAX, SIGNIFICANT_DIGITS).getNeededByteBufferCapacity());
        }

        byte[] encode(Cell cell) {
            buffer.clear();
            for (long number : new long[] {cell.n, cell.good, cell.failed, cell.unjudged, cell.sumUs, cell.minUs,
                cell.maxUs, cell.overflow, cell.newestUs}) {
                buffer.putLong(number);
            }
            if (cell.sparse != null) {
                cell.sparse.write(buffer);
            } else if (cell.latency != null) {
                cell.latency.encodeIntoByteBuffer(buffer);
            }
            return Arrays.copyOf(buffer.array(), buffer.position());
        }

        /** HdrHistogram's V2 bytes, as exported. */
        int encodeHistogram(Cell cell) {
            buffer.clear();
            IntCountsHistogram histogram = cell.latency;
            if (cell.sparse != null) {
                histogram = new IntCountsHistogram(1, VALUE_US_MAX, SIGNIFICANT_DIGITS);
                cell.sparse.addTo(histogram);
            }
            return histogram.encodeIntoByteBuffer(buffer);
        }

        byte[] array() {
            return buffer.array();
        }
    }

    boolean hasHistogram() {
        return latency != null || sparse != null && sparse.isUsed();
    }

    static Cell decode(byte[] bytes) {
        ByteBuffer in = ByteBuffer.wrap(bytes);
        Cell cell = new Cell();
        cell.decodeNumbers(in);
        if (in.hasRemaining()) {
            cell.latency = IntCountsHistogram.decodeFromByteBuffer(in, VALUE_US_MAX);
        }
        return cell;
    }

    static Cell decodeSparse(byte[] bytes) {
        ByteBuffer in = ByteBuffer.wrap(bytes);
        Cell cell = new Cell();
        cell.decodeNumbers(in);
        cell.sparse = new SparseCounters(in);
        return cell;
    }

    private void decodeNumbers(ByteBuffer in) {
        n = in.getLong();
        good = in.getLong();
        failed = in.getLong();
        unjudged = in.getLong();
        sumUs = in.getLong();
        minUs = in.getLong();
        maxUs = in.getLong();
        overflow = in.getLong();
        newestUs = in.getLong();
    }
}
