package streamgauge.peers;

import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Set;

import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.serialization.ByteArraySerializer;
import org.apache.kafka.common.serialization.Deserializer;
import org.apache.kafka.common.serialization.Serdes;
import org.apache.kafka.common.utils.Bytes;
import org.apache.kafka.streams.StreamsConfig;
import org.apache.kafka.streams.Topology;
import org.apache.kafka.streams.TopologyConfig;
import org.apache.kafka.streams.processor.PunctuationType;
import org.apache.kafka.streams.processor.api.Processor;
import org.apache.kafka.streams.processor.api.ProcessorContext;
import org.apache.kafka.streams.processor.api.ProcessorSupplier;
import org.apache.kafka.streams.processor.api.Record;
import org.apache.kafka.streams.state.KeyValueStore;
import org.apache.kafka.streams.state.StoreBuilder;
import org.apache.kafka.streams.state.Stores;

/**
 * One processor of Kafka Streams, exactly once v2, without repartitioning: panes of each input partition by themselves.
 * A punctuation by stream time emits what the watermark has passed.
 */
final class StreamsPapi {
    private static final String SAVED = "saved-cells";
    private static final Duration PUNCTUATION = Duration.ofSeconds(1);

    private StreamsPapi() {
    }

    static String run(Options options, Map<TopicPartition, Long> ends) throws Exception {
        Progress progress = new Progress(ends.values().stream().mapToLong(Long::longValue).sum());
        List<Panes> all = new ArrayList<>();
        Topology topology = new Topology(new TopologyConfig(new StreamsConfig(StreamsRun.forTopology(options))));
        topology.addSource(Topology.AutoOffsetReset.EARLIEST, "requests", new StreamsRun.RequestTime(),
            (Deserializer<Void>) (topic, key) -> null, new RequestReader(), options.topic());
        topology.addProcessor("fold", new Supplier(progress, all), "requests");
        topology.addSink("panes", options.output(), new ByteArraySerializer(), new ByteArraySerializer(), "fold");
        StreamsRun.run(topology, options, ends, progress);
        long open = all.stream().mapToLong(Panes::openEvents).sum();
        if (progress.settled() != progress.expected || progress.emitted + open > progress.expected) {
            throw new IllegalStateException("cells and counters differ");
        }
        return progress.line("streams-papi", 0);
    }

    private record Supplier(Progress progress, List<Panes> all)
        implements ProcessorSupplier<Void, Request, byte[], byte[]> {
        @Override
        public Processor<Void, Request, byte[], byte[]> get() {
            return new Fold(progress, all);
        }

        @Override
        public Set<StoreBuilder<?>> stores() {
            return Set.of(new CellStoreBuilder(),
                Stores.keyValueStoreBuilder(Stores.inMemoryKeyValueStore(SAVED), Serdes.Bytes(), Serdes.ByteArray())
                    .withCachingDisabled().withLoggingEnabled(Map.of()));
        }
    }

    private static final class Fold implements Processor<Void, Request, byte[], byte[]> {
        private final Progress progress;
        private final List<Panes> all;
        private final PaneJson json = new PaneJson();
        private ProcessorContext<byte[], byte[]> context;
        private CellStore cells;
        private Panes panes;

        Fold(Progress progress, List<Panes> all) {
            this.progress = progress;
            this.all = all;
        }

        @Override
        public void init(ProcessorContext<byte[], byte[]> context) {
            this.context = context;
            cells = context.getStateStore(CellStore.NAME);
            KeyValueStore<Bytes, byte[]> saved = context.getStateStore(SAVED);
            panes = cells.restore(saved);
            all.add(panes);
            context.schedule(PUNCTUATION, PunctuationType.STREAM_TIME, streamTimeMs -> panes.cut(this::emit));
        }

        @Override
        public void process(Record<Void, Request> record) {
            Request request = record.value();
            progress.read();
            if (request.rejected || panes.isTooLate(request.tsUs)) {
                progress.rejected();
                return;
            }
            panes.fold(request, 0);
            progress.counted();
        }

        private void emit(long paneUs, Series series, Cell cell) {
            byte[] value = json.delta(paneUs, context.taskId().partition(), series, cell);
            context.forward(new Record<>(series.outputKey(), value, paneUs / 1000));
            cells.forget(paneUs, series, cell);
            progress.output(value);
            progress.emitted += cell.n;
        }
    }

    private static final class CellStoreBuilder implements StoreBuilder<CellStore> {
        @Override
        public CellStore build() {
            return new CellStore();
        }

        @Override
        public String name() {
            return CellStore.NAME;
        }

        // What it holds is saved elsewhere, and it is a cache by itself.

        @Override
        public StoreBuilder<CellStore> withCachingEnabled() {
            return this;
        }

        @Override
        public StoreBuilder<CellStore> withCachingDisabled() {
            return this;
        }

        @Override
        public StoreBuilder<CellStore> withLoggingEnabled(Map<String, String> config) {
            return this;
        }

        @Override
        public StoreBuilder<CellStore> withLoggingDisabled() {
            return this;
        }

        @Override
        public Map<String, String> logConfig() {
            return Map.of();
        }

        @Override
        public boolean loggingEnabled() {
            return false;
        }
    }
}
