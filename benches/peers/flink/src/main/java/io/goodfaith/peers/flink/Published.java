package io.goodfaith.peers.flink;

import java.util.List;
import java.util.Optional;
import org.apache.flink.connector.kafka.lineage.DefaultKafkaDatasetFacet;
import org.apache.flink.connector.kafka.lineage.DefaultKafkaDatasetIdentifier;
import org.apache.flink.connector.kafka.lineage.KafkaDatasetFacet;
import org.apache.flink.connector.kafka.lineage.KafkaDatasetFacetProvider;
import org.apache.flink.connector.kafka.sink.KafkaRecordSerializationSchema;
import org.apache.kafka.clients.producer.ProducerRecord;

/** One score to be published; one object a lane, as {@link Heard}. */
final class Published {
  /** The header that goes from an input to the output it causes. */
  static final String INTENDED = "intended";

  byte[] key;
  byte[] value;
  byte[] intended;

  /** Writes records to one topic, placed by the producer's own partitioner. */
  record Writer(String topic)
      implements KafkaRecordSerializationSchema<Published>, KafkaDatasetFacetProvider {
    @Override
    public ProducerRecord<byte[], byte[]> serialize(
        Published published, KafkaSinkContext context, Long timestamp) {
      ProducerRecord<byte[], byte[]> record =
          new ProducerRecord<>(topic, published.key, published.value);
      if (published.intended != null) {
        record.headers().add(INTENDED, published.intended);
      }
      return record;
    }

    /** Names the topic: a pool of transactional ids is refused without. */
    @Override
    public Optional<KafkaDatasetFacet> getKafkaDatasetFacet() {
      DefaultKafkaDatasetIdentifier topics =
          DefaultKafkaDatasetIdentifier.ofTopics(List.of(topic));
      return Optional.of(new DefaultKafkaDatasetFacet(topics));
    }
  }
}
