package streamgauge.peers;

import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.UncheckedIOException;

import com.fasterxml.jackson.core.JsonFactory;
import com.fasterxml.jackson.core.JsonGenerator;

/** A cell as a record of the output topic. For one thread. */
final class PaneJson {
    private final JsonFactory factory = new JsonFactory();
    private final Cell.Encoder encoder = new Cell.Encoder();
    private final ByteArrayOutputStream out = new ByteArrayOutputStream(4096);

    /** To be added to what was said of the pane before. */
    byte[] delta(long paneUs, int partition, Series series, Cell cell) {
        return write("delta", paneUs, partition, series, cell);
    }

    /** Replaces what was said of the pane before. */
    byte[] pane(long paneUs, Series series, Cell cell) {
        return write("pane", paneUs, -1, series, cell);
    }

    private byte[] write(String type, long paneUs, int partition, Series series, Cell cell) {
        out.reset();
        try (JsonGenerator json = factory.createGenerator(out)) {
            json.writeStartObject();
            json.writeStringField("type", type);
            json.writeStringField("tenant", series.tenant);
            json.writeStringField("service", series.service);
            json.writeObjectFieldStart("labels");
            if (series.route != null) {
                json.writeStringField("route", series.route);
            }
            if (series.version != null) {
                json.writeStringField("version", series.version);
            }
            json.writeEndObject();
            json.writeNumberField("pane", paneUs);
            json.writeNumberField("pane_us", Panes.PANE_US);
            if (partition >= 0) {
                json.writeNumberField("partition", partition);
            }
            json.writeNumberField("n", cell.n);
            json.writeNumberField("good", cell.good);
            json.writeNumberField("failed", cell.failed);
            json.writeNumberField("unjudged", cell.unjudged);
            if (cell.minUs <= cell.maxUs) {
                json.writeObjectFieldStart("latency");
                json.writeStringField("sum_us", Long.toString(cell.sumUs));
                json.writeNumberField("min_us", cell.minUs);
                json.writeNumberField("max_us", cell.maxUs);
                json.writeNumberField("overflow", cell.overflow);
                if (cell.hasHistogram()) {
                    int length = encoder.encodeHistogram(cell);
                    json.writeFieldName("histogram");
                    json.writeBinary(encoder.array(), 0, length);
                }
                json.writeEndObject();
            }
            json.writeNumberField("newest", cell.newestUs);
            json.writeEndObject();
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
        return out.toByteArray();
    }
}
