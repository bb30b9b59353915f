package streamgauge.peers;

import java.nio.ByteBuffer;

import org.apache.kafka.common.utils.Bytes;
import org.apache.kafka.streams.KeyValue;
import org.apache.kafka.streams.processor.StateStore;
import org.apache.kafka.streams.processor.StateStoreContext;
import org.apache.kafka.streams.state.KeyValueIterator;
import org.apache.kafka.streams.state.KeyValueStore;
import org.apache.kafka.streams.state.internals.CacheFlushListener;
import org.apache.kafka.streams.state.internals.CachedStateStore;

/**
 * Live panes as objects, written to an ordinary changelogged store only when the task commits.
 *
 * <p>A store of Kafka Streams takes and gives bytes: with one alone, every record would encode and decode a histogram.
 * Streams calls its own caches before it commits a task; being one of them is not part of the public interface, but the
 * only way to write what belongs to a commit in time.
 */
final class CellStore implements StateStore, CachedStateStore<Object, Object> {
    static final String NAME = "cells";
    /** Shorter than any key of a cell. */
    private static final Bytes NEWEST = Bytes.wrap(new byte[] {0});

    private final Cell.Encoder encoder = new Cell.Encoder();
    private KeyValueStore<Bytes, byte[]> saved;
    private Panes panes = new Panes(Panes.BEFORE_ALL_US);
    private boolean open;

    @Override
    public String name() {
        return NAME;
    }

    @Override
    public void init(StateStoreContext context, StateStore root) {
        context.register(root, (key, value) -> { });
        open = true;
    }

    /** Called when {@code saved} has been restored. */
    Panes restore(KeyValueStore<Bytes, byte[]> saved) {
        this.saved = saved;
        byte[] newest = saved.get(NEWEST);
        panes = new Panes(newest == null ? Panes.BEFORE_ALL_US : ByteBuffer.wrap(newest).getLong());
        try (KeyValueIterator<Bytes, byte[]> entries = saved.all()) {
            while (entries.hasNext()) {
                KeyValue<Bytes, byte[]> entry = entries.next();
                if (!entry.key.equals(NEWEST)) {
                    ByteBuffer key = ByteBuffer.wrap(entry.key.get());
                    Cell cell = Cell.decode(entry.value);
                    cell.savedN = cell.n;
                    panes.restore(key.getLong(), Series.fromBytes(key), cell);
                }
            }
        }
        return panes;
    }

    /** A cell has been emitted. */
    void forget(long paneUs, Series series, Cell cell) {
        if (cell.savedN > 0) {
            saved.delete(key(paneUs, series));
        }
    }

    @Override
    public void flushCache() {
        if (saved == null) {
            return;
        }
        for (Panes.Pane pane : panes.open.values()) {
            pane.cells.forEach((series, cell) -> {
                if (cell.savedN != cell.n) {
                    saved.put(key(pane.startUs, series), encoder.encode(cell));
                    cell.savedN = cell.n;
                }
            });
        }
        saved.put(NEWEST, ByteBuffer.allocate(Long.BYTES).putLong(panes.maxTsUs).array());
    }

    private static Bytes key(long paneUs, Series series) {
        byte[] name = series.toBytes();
        return Bytes.wrap(ByteBuffer.allocate(Long.BYTES + name.length).putLong(paneUs).put(name).array());
    }

    @Override
    public boolean setFlushListener(CacheFlushListener<Object, Object> listener, boolean sendOldValues) {
        return false;
    }

    @Override
    public void clearCache() {
        panes = new Panes(Panes.BEFORE_ALL_US);
        saved = null;
    }

    @Override
    public void flush() {
        // Comes after a commit, when it would be too late.
    }

    @Override
    public void close() {
        open = false;
    }

    @Override
    public boolean persistent() {
        return false;
    }

    @Override
    public boolean isOpen() {
        return open;
    }
}
