package streamgauge.peers;

import java.util.HashMap;
import java.util.Map;
import java.util.Properties;

import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.AdminClientConfig;
import org.apache.kafka.clients.admin.OffsetSpec;
import org.apache.kafka.common.TopicPartition;

/** Reads a topic of requests to its end as one contender, prints what that took, and ends. */
public final class Main {
    private Main() {
    }

    public static void main(String[] args) throws Exception {
        Options options = Options.of(args);
        Map<TopicPartition, Long> ends = ends(options);
        String line = switch (options.contender()) {
            case "plain" -> new Plain(options, ends).run();
            case "streams-papi" -> StreamsPapi.run(options, ends);
            case "streams-dsl" -> StreamsDsl.run(options, ends);
            default -> throw new IllegalArgumentException("expected plain, streams-papi or streams-dsl");
        };
        System.out.println(line);
        System.out.flush();
        // What the clients would still do to close is no part of what is measured.
        Runtime.getRuntime().halt(0);
    }

    private static Map<TopicPartition, Long> ends(Options options) throws Exception {
        Properties config = new Properties();
        config.put(AdminClientConfig.BOOTSTRAP_SERVERS_CONFIG, options.brokers());
        try (Admin admin = Admin.create(config)) {
            int partitions = admin.describeTopics(java.util.List.of(options.topic())).allTopicNames().get()
                .get(options.topic()).partitions().size();
            Map<TopicPartition, OffsetSpec> wanted = new HashMap<>();
            for (int partition = 0; partition < partitions; partition++) {
                wanted.put(new TopicPartition(options.topic(), partition), OffsetSpec.latest());
            }
            Map<TopicPartition, Long> ends = new HashMap<>();
            admin.listOffsets(wanted).all().get().forEach((partition, info) -> ends.put(partition, info.offset()));
            return ends;
        }
    }
}
