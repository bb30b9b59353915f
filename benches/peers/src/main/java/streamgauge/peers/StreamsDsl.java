package streamgauge.peers;

import java.nio.ByteBuffer;
import java.time.Duration;
import java.util.HashMap;
import java.util.Map;

import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.serialization.Serde;
import org.apache.kafka.common.serialization.Serdes;
import org.apache.kafka.common.utils.Bytes;
import org.apache.kafka.streams.KeyValue;
import org.apache.kafka.streams.StreamsBuilder;
import org.apache.kafka.streams.kstream.Consumed;
import org.apache.kafka.streams.kstream.Grouped;
import org.apache.kafka.streams.kstream.KTable;
import org.apache.kafka.streams.kstream.Materialized;
import org.apache.kafka.streams.kstream.Produced;
import org.apache.kafka.streams.kstream.Suppressed;
import org.apache.kafka.streams.kstream.Suppressed.BufferConfig;
import org.apache.kafka.streams.kstream.TimeWindows;
import org.apache.kafka.streams.kstream.Windowed;
import org.apache.kafka.streams.state.Stores;
import org.apache.kafka.streams.state.WindowStore;

/**
 * As the documentation of the DSL has it: group (which repartitions), window, aggregate. Every commit writes the new
 * value of each pane that changed, or with {@code --suppress} each pane once, when its grace is over.
 */
final class StreamsDsl {
    private static final Duration PANE = Duration.ofNanos(Panes.PANE_US * 1000);

    private StreamsDsl() {
    }

    static String run(Options options, Map<TopicPartition, Long> ends) throws Exception {
        Progress progress = new Progress(ends.values().stream().mapToLong(Long::longValue).sum());
        Duration grace = Duration.ofSeconds(options.graceSecs());
        Outputs outputs = new Outputs(progress);
        StreamsBuilder builder = new StreamsBuilder();
        KTable<Windowed<Series>, Cell> panes = builder
            .stream(options.topic(), Consumed.with(nothing(), requests())
                .withTimestampExtractor(new StreamsRun.RequestTime()))
            .filter((key, request) -> {
                progress.read();
                if (request.rejected) {
                    progress.rejected();
                }
                return !request.rejected;
            })
            .groupBy((key, request) -> request.series, Grouped.with("by-series", series(), repartitioned()))
            .windowedBy(TimeWindows.ofSizeAndGrace(PANE, grace))
            .aggregate(Cell::sparse, (series, request, cell) -> {
                progress.counted();
                cell.add(request);
                return cell;
            }, materialized(options, grace));
        if (options.suppress()) {
            panes = panes.suppress(Suppressed.untilWindowCloses(BufferConfig.unbounded()));
        }
        panes.toStream().map(outputs::record).to(options.output(), Produced.with(Serdes.ByteArray(), Serdes.ByteArray()));
        long dropped =
            StreamsRun.run(builder.build(StreamsRun.forTopology(options)), options, ends, progress);
        return progress.line("streams-dsl", dropped);
    }

    private static Materialized<Series, Cell, WindowStore<Bytes, byte[]>> materialized(Options options, Duration grace) {
        Materialized<Series, Cell, WindowStore<Bytes, byte[]>> store = options.store().equals("memory")
            ? Materialized.as(Stores.inMemoryWindowStore("panes", PANE.plus(grace), PANE, false))
            : Materialized.as("panes");
        return store.withKeySerde(series()).withValueSerde(cells()).withCachingEnabled();
    }

    /** Writes panes, and knows what it wrote of each. */
    private static final class Outputs {
        private final Progress progress;
        private final PaneJson json = new PaneJson();
        private final Map<Windowed<Series>, Long> written = new HashMap<>();

        Outputs(Progress progress) {
            this.progress = progress;
        }

        KeyValue<byte[], byte[]> record(Windowed<Series> key, Cell cell) {
            byte[] value = json.pane(key.window().start() * 1000, key.key(), cell);
            Long before = written.put(key, cell.n);
            progress.emitted += cell.n - (before == null ? 0 : before);
            progress.output(value);
            return KeyValue.pair(key.key().outputKey(), value);
        }
    }

    // ---- Serdes. All of them run on the one stream thread.

    private static Serde<Void> nothing() {
        return Serdes.serdeFrom((topic, key) -> null, (topic, key) -> null);
    }

    private static Serde<Request> requests() {
        return Serdes.serdeFrom((topic, request) -> {
            throw new UnsupportedOperationException("requests are only read");
        }, new RequestReader());
    }

    private static Serde<Series> series() {
        Map<ByteBuffer, Series> known = new HashMap<>();
        return Serdes.serdeFrom((topic, series) -> series.toBytes(), (topic, bytes) -> {
            ByteBuffer name = ByteBuffer.wrap(bytes);
            Series series = known.get(name);
            if (series == null) {
                if (known.size() >= 10_000) {
                    known.clear();
                }
                series = Series.fromBytes(ByteBuffer.wrap(bytes));
                known.put(name, series);
            }
            return series;
        });
    }

    /** What is left of a request when its key says the series: 17 bytes instead of its JSON again. */
    private static Serde<Request> repartitioned() {
        return Serdes.serdeFrom(
            (topic, request) -> ByteBuffer.allocate(17).putLong(request.tsUs).putLong(request.latencyUs)
                .put((byte) request.verdict.ordinal()).array(),
            (topic, bytes) -> {
                ByteBuffer in = ByteBuffer.wrap(bytes);
                Request request = new Request();
                request.tsUs = in.getLong();
                request.latencyUs = in.getLong();
                request.verdict = Request.Verdict.ALL[in.get()];
                return request;
            });
    }

    private static Serde<Cell> cells() {
        Cell.Encoder encoder = new Cell.Encoder();
        return Serdes.serdeFrom((topic, cell) -> cell == null ? null : encoder.encode(cell),
            (topic, bytes) -> bytes == null ? null : Cell.decodeSparse(bytes));
    }
}
