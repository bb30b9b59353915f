package streamgauge.peers;

import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.util.Objects;

/** What a cell counts: tenant, service, route, version. Route and version may be absent. */
final class Series {
    final String tenant;
    final String service;
    final String route;
    final String version;
    private final int hash;
    /** Made once, on first use: series live long. */
    private byte[] bytes;

    Series(String tenant, String service, String route, String version) {
        this.tenant = tenant;
        this.service = service;
        this.route = route;
        this.version = version;
        this.hash = hash(tenant, service, route, version);
    }

    /** Strings remember their hash, so that this is four multiplications. */
    static int hash(String tenant, String service, String route, String version) {
        int hash = tenant.hashCode();
        hash = 31 * hash + service.hashCode();
        hash = 31 * hash + (route == null ? 0 : route.hashCode());
        return 31 * hash + (version == null ? 0 : version.hashCode());
    }

    boolean is(String tenant, String service, String route, String version) {
        return this.route == route && this.version == version && this.service == service && this.tenant == tenant;
    }

    /** Records with the same key of the output topic go to the same partition. */
    byte[] outputKey() {
        return (tenant + "/" + service).getBytes(StandardCharsets.UTF_8);
    }

    byte[] toBytes() {
        if (bytes == null) {
            byte[][] parts = {utf8(tenant), utf8(service), utf8(route), utf8(version)};
            int size = 0;
            for (byte[] part : parts) {
                size += 4 + (part == null ? 0 : part.length);
            }
            ByteBuffer out = ByteBuffer.allocate(size);
            for (byte[] part : parts) {
                out.putInt(part == null ? -1 : part.length);
                if (part != null) {
                    out.put(part);
                }
            }
            bytes = out.array();
        }
        return bytes;
    }

    static Series fromBytes(ByteBuffer in) {
        return new Series(text(in), text(in), text(in), text(in));
    }

    private static byte[] utf8(String text) {
        return text == null ? null : text.getBytes(StandardCharsets.UTF_8);
    }

    private static String text(ByteBuffer in) {
        int length = in.getInt();
        if (length < 0) {
            return null;
        }
        String text = new String(in.array(), in.arrayOffset() + in.position(), length, StandardCharsets.UTF_8);
        in.position(in.position() + length);
        return text;
    }

    @Override
    public boolean equals(Object other) {
        return this == other || other instanceof Series that && hash == that.hash && service.equals(that.service)
            && Objects.equals(route, that.route) && Objects.equals(version, that.version) && tenant.equals(that.tenant);
    }

    @Override
    public int hashCode() {
        return hash;
    }
}
