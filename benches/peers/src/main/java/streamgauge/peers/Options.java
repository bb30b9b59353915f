package streamgauge.peers;

import java.util.HashMap;
import java.util.Map;

/** The command line: {@code CONTENDER --brokers B --topic T --group G --output T ...}. */
record Options(String contender, String brokers, String topic, String group, String output, String stateDir,
    long commitMs, long graceSecs, boolean suppress, String store, boolean largeFetches) {

    static Options of(String[] args) {
        Map<String, String> given = new HashMap<>();
        for (int i = 1; i + 1 < args.length; i += 2) {
            given.put(args[i], args[i + 1]);
        }
        Options options = new Options(args.length == 0 ? "" : args[0], take(given, "--brokers", "127.0.0.1:9092"),
            take(given, "--topic", null), take(given, "--group", null), take(given, "--output", null),
            take(given, "--state-dir", System.getProperty("java.io.tmpdir")),
            Long.parseLong(take(given, "--commit-ms", "1000")), Long.parseLong(take(given, "--grace-secs", "86400")),
            Boolean.parseBoolean(take(given, "--suppress", "false")), take(given, "--store", "rocksdb"),
            Boolean.parseBoolean(take(given, "--large-fetches", "true")));
        if (!given.isEmpty() || args.length % 2 == 0) {
            throw new IllegalArgumentException("couldn't read the command line; left over: " + given);
        }
        return options;
    }

    private static String take(Map<String, String> given, String name, String otherwise) {
        String value = given.remove(name);
        if (value == null && otherwise == null) {
            throw new IllegalArgumentException(name + " is missing");
        }
        return value == null ? otherwise : value;
    }
}
