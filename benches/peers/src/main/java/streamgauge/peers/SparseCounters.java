package streamgauge.peers;

import java.nio.ByteBuffer;
import java.util.Arrays;

import org.HdrHistogram.IntCountsHistogram;

/**
 * The counters of a histogram that are in use, in HdrHistogram's layout of two significant digits. The DSL writes and
 * reads an aggregate for every record; an array of all counters would make that several times as expensive.
 */
final class SparseCounters {
    private static final int ENTRY_BYTES = Short.BYTES + Integer.BYTES;

    private short[] indexes;
    private int[] counts;
    private int used;

    SparseCounters() {
        indexes = new short[16];
        counts = new int[16];
    }

    SparseCounters(ByteBuffer in) {
        used = in.remaining() / ENTRY_BYTES;
        // Room for one more: mostly one record is counted between reading and writing.
        indexes = new short[used + 1];
        counts = new int[used + 1];
        in.asShortBuffer().get(indexes, 0, used);
        in.position(in.position() + used * Short.BYTES);
        in.asIntBuffer().get(counts, 0, used);
    }

    void write(ByteBuffer out) {
        out.asShortBuffer().put(indexes, 0, used);
        out.position(out.position() + used * Short.BYTES);
        out.asIntBuffer().put(counts, 0, used);
        out.position(out.position() + used * Integer.BYTES);
    }

    boolean isUsed() {
        return used > 0;
    }

    void record(long value) {
        short index = index(value);
        int at = Arrays.binarySearch(indexes, 0, used, index);
        if (at >= 0) {
            counts[at]++;
            return;
        }
        at = -at - 1;
        if (used == indexes.length) {
            indexes = Arrays.copyOf(indexes, used * 2);
            counts = Arrays.copyOf(counts, used * 2);
        }
        System.arraycopy(indexes, at, indexes, at + 1, used - at);
        System.arraycopy(counts, at, counts, at + 1, used - at);
        indexes[at] = index;
        counts[at] = 1;
        used++;
    }

    void addTo(IntCountsHistogram histogram) {
        for (int i = 0; i < used; i++) {
            histogram.recordValueWithCount(smallest(indexes[i]), counts[i]);
        }
    }

    /** 256 counters of width 1, then 128 for each doubling. */
    private static short index(long value) {
        int shift = Long.SIZE - Long.numberOfLeadingZeros(value | 0xff) - 8;
        return (short) ((shift << 7) + (value >> shift));
    }

    private static long smallest(int index) {
        int shift = Math.max(0, (index >> 7) - 1);
        return (long) (index - (shift << 7)) << shift;
    }
}
