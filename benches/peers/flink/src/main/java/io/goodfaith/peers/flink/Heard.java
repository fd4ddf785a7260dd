package io.goodfaith.peers.flink;

import io.goodfaith.peers.subset.Decoder;
import io.goodfaith.peers.subset.Observation;
import java.nio.charset.StandardCharsets;
import org.apache.flink.api.common.typeinfo.TypeInformation;
import org.apache.flink.connector.kafka.source.reader.deserializer.KafkaRecordDeserializationSchema;
import org.apache.flink.util.Collector;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.common.header.Header;

/**
 * One record of the input, decoded.
 *
 * <p>There is one of them a lane, filled again for each record: source and scorer are chained, and objects are reused.
 */
final class Heard {
  String customer;
  byte[] key;
  int partition;
  long offset;
  /** False for what is no event: then there is no observation. */
  boolean isEvent;
  /** When the record was meant to be sent, as its header says it; null without one. */
  byte[] intended;
  final Observation observation = new Observation();

  private void read(ConsumerRecord<byte[], byte[]> record) {
    Header header = record.headers().lastHeader(Published.INTENDED);
    key = record.key();
    customer = key == null ? "" : new String(key, StandardCharsets.UTF_8);
    partition = record.partition();
    offset = record.offset();
    isEvent = key != null && Decoder.decode(record.value(), observation);
    intended = header == null ? null : header.value();
  }

  /** Reads records, what is no event too: its place counts. */
  static final class Reader implements KafkaRecordDeserializationSchema<Heard> {
    private transient Heard heard;

    @Override
    public void deserialize(ConsumerRecord<byte[], byte[]> record, Collector<Heard> out) {
      if (heard == null) {
        heard = new Heard();
      }
      heard.read(record);
      out.collect(heard);
    }

    @Override
    public TypeInformation<Heard> getProducedType() {
      return TypeInformation.of(Heard.class);
    }
  }
}
