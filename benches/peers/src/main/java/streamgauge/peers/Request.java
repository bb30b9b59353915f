package streamgauge.peers;

/** What the job needs of one record of the input. */
final class Request {
    /** Microseconds since the Unix epoch. */
    long tsUs;
    /** Absent behind the repartitioning of the DSL, where the key says it. */
    Series series;
    Verdict verdict;
    /** Negative where the record has none. */
    long latencyUs = -1;
    /** Not to be counted: undecodable, or from a clock that runs ahead. */
    boolean rejected;

    enum Verdict {
        GOOD, FAILED, UNJUDGED;

        static final Verdict[] ALL = values();
    }
}
