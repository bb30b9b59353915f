package streamgauge.peers;

import java.util.HashMap;
import java.util.Iterator;
import java.util.Map;
import java.util.TreeMap;

/** The live panes of one input partition, and its watermark. What the contenders without the DSL share. */
final class Panes {
    static final long PANE_US = 10_000_000;
    static final long MAX_OUT_OF_ORDERNESS_US = 5_000_000;
    static final long MAX_FUTURE_SKEW_US = 5_000_000;
    static final long LATE_HORIZON_US = 24L * 3600 * 1_000_000;

    /** Below every time, and far enough from the end that differences do not overflow. */
    static final long BEFORE_ALL_US = -(1L << 60);

    static final class Pane {
        final long startUs;
        final Map<Series, Cell> cells = new HashMap<>(256);
        /** From where this pane can be folded again, and the newest record before that. */
        final long firstOffset;
        final long maxTsBeforeUs;

        Pane(long startUs, long firstOffset, long maxTsBeforeUs) {
            this.startUs = startUs;
            this.firstOffset = firstOffset;
            this.maxTsBeforeUs = maxTsBeforeUs;
        }
    }

    interface Emit {
        void delta(long paneUs, Series series, Cell cell);
    }

    final TreeMap<Long, Pane> open = new TreeMap<>();
    long maxTsUs;
    /** Nearly every record falls into the pane of the one before. */
    private Pane last;

    Panes(long maxTsUs) {
        this.maxTsUs = maxTsUs;
    }

    static boolean isAhead(long tsUs, long appendedMs) {
        return tsUs > appendedMs * 1000 + MAX_FUTURE_SKEW_US;
    }

    static long paneOf(long tsUs) {
        return Math.floorDiv(tsUs, PANE_US) * PANE_US;
    }

    boolean isTooLate(long tsUs) {
        return tsUs < maxTsUs - MAX_OUT_OF_ORDERNESS_US - LATE_HORIZON_US;
    }

    /** Every pane that ends at or before this is complete, but for late records. */
    long completeUntilUs() {
        return paneOf(maxTsUs - MAX_OUT_OF_ORDERNESS_US);
    }

    /** Counts a request; answers the cell, which may be new. */
    Cell fold(Request request, long offset) {
        long start = paneOf(request.tsUs);
        Pane pane = last;
        if (pane == null || pane.startUs != start) {
            pane = open.get(start);
            if (pane == null) {
                pane = new Pane(start, offset, maxTsUs);
                open.put(start, pane);
            }
            last = pane;
        }
        Cell cell = pane.cells.get(request.series);
        if (cell == null) {
            cell = new Cell();
            pane.cells.put(request.series, cell);
        }
        cell.add(request);
        maxTsUs = Math.max(maxTsUs, request.tsUs);
        return cell;
    }

    /** Hands over and forgets what the watermark has passed. */
    void cut(Emit emit) {
        long completeUntil = completeUntilUs();
        Iterator<Pane> panes = open.values().iterator();
        while (panes.hasNext()) {
            Pane pane = panes.next();
            if (pane.startUs + PANE_US > completeUntil) {
                break;
            }
            pane.cells.forEach((series, cell) -> emit.delta(pane.startUs, series, cell));
            panes.remove();
            last = null;
        }
    }

    /** Takes a cell over from saved state. */
    void restore(long paneUs, Series series, Cell cell) {
        open.computeIfAbsent(paneUs, start -> new Pane(start, 0, BEFORE_ALL_US)).cells.put(series, cell);
    }

    long openEvents() {
        return open.values().stream().flatMap(pane -> pane.cells.values().stream()).mapToLong(cell -> cell.n).sum();
    }
}
