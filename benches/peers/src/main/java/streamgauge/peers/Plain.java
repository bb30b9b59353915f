package streamgauge.peers;

import java.time.Duration;
import java.util.ArrayList;
import java.util.Collection;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import java.util.Set;

import org.apache.kafka.clients.consumer.ConsumerConfig;
import org.apache.kafka.clients.consumer.ConsumerRebalanceListener;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.ConsumerRecords;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.consumer.OffsetAndMetadata;
import org.apache.kafka.clients.consumer.RangeAssignor;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerConfig;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.serialization.ByteArraySerializer;
import org.apache.kafka.common.serialization.Deserializer;

/**
 * The two clients and one loop, written for this job alone.
 *
 * <p>Poll and fold happen outside of a transaction; when a pane is complete, or after two seconds, one transaction
 * holds the deltas and the position of every partition. Open panes are not written anywhere: the position's metadata
 * say from which offset they can be folded again, and a new owner does that with its outputs off. An error ends the
 * process, and whoever starts it again finds the last commit.
 */
final class Plain implements ConsumerRebalanceListener {
    private static final Duration POLL = Duration.ofMillis(100);
    private static final long QUIET_COMMIT_NS = 2_000_000_000L;

    private final Options options;
    private final Map<TopicPartition, Long> ends;
    private final Progress progress;
    private final KafkaConsumer<Void, Request> consumer;
    private final KafkaProducer<byte[], byte[]> producer;
    private final PaneJson json = new PaneJson();
    private final Map<TopicPartition, Partition> partitions = new HashMap<>();
    private final List<ProducerRecord<byte[], byte[]>> outbox = new ArrayList<>();

    private static final class Partition {
        final Panes panes;
        long completeUntilUs;
        /** Records before this offset were committed by somebody: they are folded, but nothing is said of them. */
        final long refoldUntil;

        Partition(long maxTsUs, long refoldUntil) {
            this.panes = new Panes(maxTsUs);
            this.completeUntilUs = panes.completeUntilUs();
            this.refoldUntil = refoldUntil;
        }
    }

    Plain(Options options, Map<TopicPartition, Long> ends) {
        this.options = options;
        this.ends = ends;
        this.progress = new Progress(ends.values().stream().mapToLong(Long::longValue).sum());
        // Instances and not classes: no reflection decides what is on the hot path.
        this.consumer = new KafkaConsumer<>(consumerConfig(), (Deserializer<Void>) (topic, key) -> null, new RequestReader());
        this.producer = new KafkaProducer<>(producerConfig(), new ByteArraySerializer(), new ByteArraySerializer());
    }

    private Properties consumerConfig() {
        Properties config = new Properties();
        config.put(ConsumerConfig.BOOTSTRAP_SERVERS_CONFIG, options.brokers());
        config.put(ConsumerConfig.GROUP_ID_CONFIG, options.group());
        config.put(ConsumerConfig.GROUP_INSTANCE_ID_CONFIG, options.group() + "-0");
        config.put(ConsumerConfig.ISOLATION_LEVEL_CONFIG, "read_committed");
        config.put(ConsumerConfig.ENABLE_AUTO_COMMIT_CONFIG, false);
        config.put(ConsumerConfig.AUTO_OFFSET_RESET_CONFIG, "none");
        config.put(ConsumerConfig.PARTITION_ASSIGNMENT_STRATEGY_CONFIG, RangeAssignor.class.getName());
        config.put(ConsumerConfig.SESSION_TIMEOUT_MS_CONFIG, 6_000);
        config.put(ConsumerConfig.HEARTBEAT_INTERVAL_MS_CONFIG, 1_500);
        StreamsRun.fetchMuch(config);
        return config;
    }

    private Properties producerConfig() {
        Properties config = new Properties();
        config.put(ProducerConfig.BOOTSTRAP_SERVERS_CONFIG, options.brokers());
        config.put(ProducerConfig.TRANSACTIONAL_ID_CONFIG, options.group() + "-0");
        config.put(ProducerConfig.TRANSACTION_TIMEOUT_CONFIG, 10_000);
        config.put(ProducerConfig.REQUEST_TIMEOUT_MS_CONFIG, 4_000);
        config.put(ProducerConfig.DELIVERY_TIMEOUT_MS_CONFIG, 5_000);
        StreamsRun.sendMuch(config);
        return config;
    }

    String run() {
        producer.initTransactions();
        consumer.subscribe(Set.of(options.topic()), this);
        long committedNs = System.nanoTime();
        while (true) {
            ConsumerRecords<Void, Request> records = consumer.poll(POLL);
            for (TopicPartition source : records.partitions()) {
                Partition partition = partitions.get(source);
                for (ConsumerRecord<Void, Request> record : records.records(source)) {
                    fold(partition, record);
                }
            }
            boolean done = isDone();
            if (!outbox.isEmpty() || done || System.nanoTime() - committedNs > QUIET_COMMIT_NS) {
                burst();
                committedNs = System.nanoTime();
            }
            if (done) {
                long open = partitions.values().stream().mapToLong(partition -> partition.panes.openEvents()).sum();
                if (progress.settled() != progress.emitted + open && partitions.values().stream().allMatch(p -> p.refoldUntil == 0)) {
                    throw new IllegalStateException("cells and counters differ");
                }
                return progress.line("plain", 0);
            }
        }
    }

    private void fold(Partition partition, ConsumerRecord<Void, Request> record) {
        Request request = record.value();
        Panes panes = partition.panes;
        boolean refold = record.offset() < partition.refoldUntil;
        if (!refold) {
            progress.read();
        }
        if (request.rejected || Panes.isAhead(request.tsUs, record.timestamp()) || panes.isTooLate(request.tsUs)) {
            if (!refold) {
                progress.rejected();
            }
            return;
        }
        panes.fold(request, record.offset());
        if (!refold) {
            progress.counted();
        }
        long completeUntilUs = panes.completeUntilUs();
        if (completeUntilUs > partition.completeUntilUs) {
            partition.completeUntilUs = completeUntilUs;
            panes.cut(refold ? (pane, series, cell) -> { } : (pane, series, cell) -> emit(record.partition(), pane, series, cell));
        }
    }

    private void emit(int partition, long pane, Series series, Cell cell) {
        byte[] value = json.delta(pane, partition, series, cell);
        outbox.add(new ProducerRecord<>(options.output(), series.outputKey(), value));
        progress.output(value);
        progress.emitted += cell.n;
    }

    private boolean isDone() {
        return partitions.size() == ends.size()
            && ends.entrySet().stream().allMatch(end -> consumer.position(end.getKey()) >= end.getValue());
    }

    private void burst() {
        if (partitions.isEmpty()) {
            return;
        }
        Map<TopicPartition, OffsetAndMetadata> positions = new HashMap<>();
        partitions.forEach((source, partition) -> positions.put(source, position(source, partition)));
        producer.beginTransaction();
        outbox.forEach(producer::send);
        producer.sendOffsetsToTransaction(positions, consumer.groupMetadata());
        // Waits for every record, and fails if one of them did.
        producer.commitTransaction();
        progress.transactions++;
        outbox.clear();
    }

    /** Where the next owner goes on, and from where it can fold open panes again: {@code offset:newest before it}. */
    private OffsetAndMetadata position(TopicPartition source, Partition partition) {
        long position = consumer.position(source);
        long from = position;
        long maxTsBeforeUs = partition.panes.maxTsUs;
        for (Panes.Pane pane : partition.panes.open.values()) {
            if (pane.firstOffset < from) {
                from = pane.firstOffset;
                maxTsBeforeUs = pane.maxTsBeforeUs;
            }
        }
        return new OffsetAndMetadata(position, from + ":" + maxTsBeforeUs);
    }

    // ---- Only ever called within poll, where the outbox is empty and no transaction is open.

    @Override
    public void onPartitionsAssigned(Collection<TopicPartition> assigned) {
        // Waits for transactions that are under way.
        Map<TopicPartition, OffsetAndMetadata> committed = consumer.committed(Set.copyOf(assigned));
        for (TopicPartition source : assigned) {
            OffsetAndMetadata position = committed.get(source);
            if (position == null) {
                partitions.put(source, new Partition(Panes.BEFORE_ALL_US, 0));
                consumer.seekToBeginning(Set.of(source));
            } else {
                String[] rewind = position.metadata().split(":");
                partitions.put(source, new Partition(Long.parseLong(rewind[1]), position.offset()));
                consumer.seek(source, Long.parseLong(rewind[0]));
            }
        }
    }

    @Override
    public void onPartitionsRevoked(Collection<TopicPartition> revoked) {
        revoked.forEach(partitions::remove);
    }
}
