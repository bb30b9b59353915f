package streamgauge.peers;

import java.nio.file.Path;
import java.time.Duration;
import java.util.Map;
import java.util.Properties;
import java.util.concurrent.atomic.AtomicReference;

import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.AdminClientConfig;
import org.apache.kafka.clients.consumer.ConsumerConfig;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.OffsetAndMetadata;
import org.apache.kafka.clients.producer.ProducerConfig;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.streams.KafkaStreams;
import org.apache.kafka.streams.StreamsConfig;
import org.apache.kafka.streams.Topology;
import org.apache.kafka.streams.errors.StreamsUncaughtExceptionHandler.StreamThreadExceptionResponse;
import org.apache.kafka.streams.processor.TimestampExtractor;

/** Runs a topology until every record that the topic held at the start is processed and committed. */
final class StreamsRun {
    private static final int CACHE_BYTES = 64 << 20;

    private StreamsRun() {
    }

    /** Large fetches and polls, for every contender. */
    static void fetchMuch(Properties config) {
        config.put(ConsumerConfig.MAX_POLL_RECORDS_CONFIG, 10_000);
        config.put(ConsumerConfig.MAX_PARTITION_FETCH_BYTES_CONFIG, 4 << 20);
        config.put(ConsumerConfig.FETCH_MAX_WAIT_MS_CONFIG, 100);
        config.put(ConsumerConfig.RECEIVE_BUFFER_CONFIG, 1 << 20);
        // As librdkafka has it by default.
        config.put(ConsumerConfig.CHECK_CRCS_CONFIG, false);
    }

    /** Large batches; a commit waits for no linger. */
    static void sendMuch(Properties config) {
        config.put(ProducerConfig.COMPRESSION_TYPE_CONFIG, "lz4");
        config.put(ProducerConfig.BATCH_SIZE_CONFIG, 256 << 10);
        config.put(ProducerConfig.BUFFER_MEMORY_CONFIG, 64L << 20);
    }

    private static Properties config(Options options) {
        Properties config = new Properties();
        config.put(StreamsConfig.BOOTSTRAP_SERVERS_CONFIG, options.brokers());
        config.put(StreamsConfig.APPLICATION_ID_CONFIG, options.group());
        config.put(StreamsConfig.STATE_DIR_CONFIG, Path.of(options.stateDir(), options.group()).toString());
        config.put(StreamsConfig.PROCESSING_GUARANTEE_CONFIG, StreamsConfig.EXACTLY_ONCE_V2);
        config.put(StreamsConfig.COMMIT_INTERVAL_MS_CONFIG, options.commitMs());
        config.put(StreamsConfig.NUM_STREAM_THREADS_CONFIG, 1);
        config.put(StreamsConfig.STATESTORE_CACHE_MAX_BYTES_CONFIG, CACHE_BYTES);
        config.put(StreamsConfig.TOPOLOGY_OPTIMIZATION_CONFIG, StreamsConfig.OPTIMIZE);
        config.put(ConsumerConfig.AUTO_OFFSET_RESET_CONFIG, "earliest");
        if (options.largeFetches()) {
            fetchMuch(config);
            // The default of 1000 would pause a partition after every poll.
            config.put(StreamsConfig.BUFFERED_RECORDS_PER_PARTITION_CONFIG, 20_000);
        }
        sendMuch(config);
        return config;
    }

    static Properties forTopology(Options options) {
        return config(options);
    }

    /** Answers the records that the DSL dropped by itself. */
    static long run(Topology topology, Options options, Map<TopicPartition, Long> ends, Progress progress)
        throws Exception {
        AtomicReference<Throwable> failure = new AtomicReference<>();
        KafkaStreams streams = new KafkaStreams(topology, config(options));
        streams.setUncaughtExceptionHandler(error -> {
            failure.set(error);
            return StreamThreadExceptionResponse.SHUTDOWN_CLIENT;
        });
        streams.start();
        for (long turn = 0; progress.settled() < progress.expected; turn++) {
            if (failure.get() != null) {
                throw new IllegalStateException("a stream thread ended", failure.get());
            }
            // Metrics are many: ask them rarely, and not before they can matter.
            if (progress.records() >= progress.expected && turn % 10 == 0
                && progress.settled() + dropped(streams) >= progress.expected) {
                break;
            }
            Thread.sleep(10);
        }
        long dropped = dropped(streams);
        // Commits what was processed since the last interval, and ends the threads.
        if (!streams.close(Duration.ofSeconds(60))) {
            throw new IllegalStateException("couldn't close within a minute");
        }
        if (failure.get() != null) {
            throw new IllegalStateException("a stream thread ended", failure.get());
        }
        checkCommitted(options, ends);
        return dropped;
    }

    private static long dropped(KafkaStreams streams) {
        return streams.metrics().entrySet().stream()
            .filter(metric -> metric.getKey().name().equals("dropped-records-total"))
            .mapToLong(metric -> ((Number) metric.getValue().metricValue()).longValue())
            .sum();
    }

    private static void checkCommitted(Options options, Map<TopicPartition, Long> ends) throws Exception {
        Properties config = new Properties();
        config.put(AdminClientConfig.BOOTSTRAP_SERVERS_CONFIG, options.brokers());
        try (Admin admin = Admin.create(config)) {
            Map<TopicPartition, OffsetAndMetadata> committed =
                admin.listConsumerGroupOffsets(options.group()).partitionsToOffsetAndMetadata().get();
            ends.forEach((source, end) -> {
                OffsetAndMetadata position = committed.get(source);
                if (end > 0 && (position == null || position.offset() < end)) {
                    throw new IllegalStateException(source + " is committed to " + position + ", its end was " + end);
                }
            });
        }
    }

    /** The time of a request is its own; one that is not to be counted moves nothing. */
    static final class RequestTime implements TimestampExtractor {
        @Override
        public long extract(ConsumerRecord<Object, Object> record, long partitionTimeMs) {
            Request request = (Request) record.value();
            if (request.rejected || Panes.isAhead(request.tsUs, record.timestamp())) {
                request.rejected = true;
                return Math.max(partitionTimeMs, 0);
            }
            return request.tsUs / 1000;
        }
    }
}
