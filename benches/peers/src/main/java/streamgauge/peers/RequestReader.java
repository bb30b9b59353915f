package streamgauge.peers;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.math.BigDecimal;
import java.nio.ByteBuffer;

import com.fasterxml.jackson.core.JsonFactory;
import com.fasterxml.jackson.core.JsonParser;
import com.fasterxml.jackson.core.JsonToken;
import com.fasterxml.jackson.core.async.ByteArrayFeeder;
import org.apache.kafka.common.header.Headers;
import org.apache.kafka.common.serialization.Deserializer;

/**
 * Bytes of a record to a {@link Request}, by Jackson's streaming parser: reads the fields that are counted, skips the
 * others without making strings of them, looks at the whole record. Names come out of Jackson's own table of symbols;
 * values out of ours, so that a record costs no string. One parser lives as long as its input is well-formed (the
 * "non-blocking" kind can do that), which saves a tenth of decoding. For one thread.
 */
final class RequestReader implements Deserializer<Request> {
    private static final int STATUS_MAX = 999;
    private static final long LATENCY_US_MAX = 1L << 45;
    /** 9999-12-31T23:59:59.999999Z. */
    private static final long TS_US_MAX = 253_402_300_799_999_999L;

    private final JsonFactory factory = new JsonFactory();
    private JsonParser parser = open();
    private final Symbols symbols = new Symbols();
    private final SeriesTable known = new SeriesTable();

    @Override
    public Request deserialize(String topic, byte[] value) {
        return value == null ? rejected() : read(value, 0, value.length);
    }

    /** Without a copy: the consumer keeps each record in an array of its own. */
    @Override
    public Request deserialize(String topic, Headers headers, ByteBuffer value) {
        if (value == null) {
            return rejected();
        }
        return read(value.array(), value.arrayOffset() + value.position(), value.remaining());
    }

    Request read(byte[] bytes, int offset, int length) {
        try {
            ByteArrayFeeder feeder = (ByteArrayFeeder) parser.getNonBlockingInputFeeder();
            int end = offset + length;
            while (end > offset && isBlank(bytes[end - 1])) {
                end--;
            }
            feeder.feedInput(bytes, offset, end);
            Request request = read(feeder);
            if (!request.rejected) {
                return request;
            }
        } catch (IOException | ArithmeticException e) {
            // Answered below.
        }
        // Half of a record may be left in it.
        parser = open();
        return rejected();
    }

    private static boolean isBlank(byte character) {
        return character == ' ' || character == '\n' || character == '\r' || character == '\t';
    }

    private JsonParser open() {
        try {
            return factory.createNonBlockingByteArrayParser();
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    private static Request rejected() {
        Request request = new Request();
        request.rejected = true;
        return request;
    }

    private Request read(ByteArrayFeeder feeder) throws IOException {
        if (parser.nextToken() != JsonToken.START_OBJECT) {
            return rejected();
        }
        String tenant = "";
        String service = null;
        String route = null;
        String version = null;
        long ts = Long.MIN_VALUE;
        long latencyUs = -1;
        int status = -1;
        boolean saidOk = false;
        boolean ok = false;
        while (parser.nextToken() == JsonToken.FIELD_NAME) {
            String name = parser.currentName();
            JsonToken token = parser.nextToken();
            switch (name) {
                case "ts" -> ts = integer(parser, token, 0, TS_US_MAX);
                case "service" -> service = text(parser, token);
                case "route" -> route = optional(parser, token);
                case "version" -> version = optional(parser, token);
                case "tenant" -> {
                    String text = optional(parser, token);
                    tenant = text == null ? "" : text;
                }
                case "status" -> {
                    if (token != JsonToken.VALUE_NULL) {
                        status = (int) integer(parser, token, 0, STATUS_MAX);
                    }
                }
                case "latency_us" -> {
                    if (token != JsonToken.VALUE_NULL) {
                        latencyUs = integer(parser, token, 0, LATENCY_US_MAX);
                    }
                }
                case "ok" -> {
                    if (token != JsonToken.VALUE_NULL) {
                        saidOk = true;
                        ok = parser.getBooleanValue();
                    }
                }
                default -> parser.skipChildren();
            }
        }
        // A record that is cut short ends with another token; whatever follows the object would be no part of it.
        boolean whole = parser.currentToken() == JsonToken.END_OBJECT && feeder.needMoreInput();
        if (service == null || ts == Long.MIN_VALUE || !whole) {
            return rejected();
        }
        Request request = new Request();
        request.tsUs = ts;
        request.latencyUs = latencyUs;
        request.series = known.get(tenant, service, route, version);
        if (!saidOk && status < 0) {
            request.verdict = Request.Verdict.UNJUDGED;
        } else {
            boolean failed = saidOk && !ok || status >= 500;
            request.verdict = failed ? Request.Verdict.FAILED : Request.Verdict.GOOD;
        }
        return request;
    }

    private String optional(JsonParser parser, JsonToken token) throws IOException {
        return token == JsonToken.VALUE_NULL ? null : text(parser, token);
    }

    private String text(JsonParser parser, JsonToken token) throws IOException {
        if (token != JsonToken.VALUE_STRING) {
            throw new IOException("not a string");
        }
        return symbols.get(parser.getTextCharacters(), parser.getTextOffset(), parser.getTextLength());
    }

    /** Also {@code 2e2} and {@code 10.0} are integers. */
    private static long integer(JsonParser parser, JsonToken token, long min, long max) throws IOException {
        long value;
        if (token == JsonToken.VALUE_NUMBER_INT) {
            value = parser.getLongValue();
        } else if (token == JsonToken.VALUE_NUMBER_FLOAT) {
            BigDecimal decimal = parser.getDecimalValue();
            value = decimal.longValueExact();
        } else {
            throw new IOException("not a number");
        }
        if (value < min || value > max) {
            throw new IOException("out of range");
        }
        return value;
    }

    /** Equal characters, the same string: an open hash table that is emptied when it is full. */
    private static final class Symbols {
        private static final int SLOTS = 1 << 14;
        private final String[] slots = new String[SLOTS];
        private int used;

        String get(char[] chars, int offset, int length) {
            int hash = 0;
            for (int i = offset; i < offset + length; i++) {
                hash = 31 * hash + chars[i];
            }
            int at = (hash ^ hash >>> 14) & SLOTS - 1;
            while (slots[at] != null) {
                if (equal(slots[at], chars, offset, length)) {
                    return slots[at];
                }
                at = at + 1 & SLOTS - 1;
            }
            String text = new String(chars, offset, length);
            if (++used > SLOTS / 2) {
                java.util.Arrays.fill(slots, null);
                used = 0;
            } else {
                slots[at] = text;
            }
            return text;
        }

        private static boolean equal(String text, char[] chars, int offset, int length) {
            if (text.length() != length) {
                return false;
            }
            for (int i = 0; i < length; i++) {
                if (text.charAt(i) != chars[offset + i]) {
                    return false;
                }
            }
            return true;
        }
    }

    /** The same names, the same series. Emptied when it is full. */
    private static final class SeriesTable {
        private static final int SLOTS = 1 << 14;
        private final Series[] slots = new Series[SLOTS];
        private int used;

        Series get(String tenant, String service, String route, String version) {
            int hash = Series.hash(tenant, service, route, version);
            int at = (hash ^ hash >>> 14) & SLOTS - 1;
            while (slots[at] != null) {
                // By identity: after the symbols were emptied there may be two of a series, which are equal all the same.
                if (slots[at].is(tenant, service, route, version)) {
                    return slots[at];
                }
                at = at + 1 & SLOTS - 1;
            }
            Series series = new Series(tenant, service, route, version);
            if (++used > SLOTS / 2) {
                java.util.Arrays.fill(slots, null);
                used = 0;
            } else {
                slots[at] = series;
            }
            return series;
        }
    }
}
