package io.goodfaith.peers.flink;

import java.util.Set;
import java.util.stream.Collectors;
import java.util.stream.IntStream;
import org.apache.flink.api.common.eventtime.WatermarkStrategy;
import org.apache.flink.api.common.typeinfo.Types;
import org.apache.flink.connector.base.DeliveryGuarantee;
import org.apache.flink.connector.kafka.sink.KafkaSink;
import org.apache.flink.connector.kafka.sink.TransactionNamingStrategy;
import org.apache.flink.connector.kafka.source.KafkaSource;
import org.apache.flink.connector.kafka.source.enumerator.initializer.OffsetsInitializer;
import org.apache.flink.streaming.api.datastream.DataStream;
import org.apache.flink.streaming.api.datastream.DataStreamUtils;
import org.apache.flink.streaming.api.environment.StreamExecutionEnvironment;
import org.apache.kafka.common.TopicPartition;

/**
 * The job: as many lanes as threads, each with its share of the partitions, each one chain from source to sink.
 *
 * <p>A {@code keyBy} would send every event through an exchange, to be serialised and read again. The topic is partitioned by customer
 * already, so within a lane every customer is where its records are, and the stream is keyed as it lies.
 */
final class Job {
  private final Arguments arguments;
  private final int lanes;

  Job(Arguments arguments) {
    this.arguments = arguments;
    lanes = Math.min(arguments.threads(), arguments.partitions());
  }

  void build(StreamExecutionEnvironment environment) {
    for (int lane = 0; lane < lanes; lane++) {
      String name = "lane-" + lane;
      DataStream<Heard> heard =
          environment
              .fromSource(source(lane), WatermarkStrategy.noWatermarks(), name)
              .uid(name + "-source");
      DataStreamUtils.reinterpretAsKeyedStream(heard, event -> event.customer, Types.STRING)
          .process(new Score(arguments))
          .uid(name + "-score")
          .returns(Published.class)
          .sinkTo(sink(lane))
          .uid(name + "-sink");
    }
  }

  private KafkaSource<Heard> source(int lane) {
    return KafkaSource.<Heard>builder()
        .setBootstrapServers(arguments.bootstrap())
        .setGroupId(arguments.group())
        .setClientIdPrefix(arguments.group() + "-" + lane)
        .setPartitions(partitions(lane))
        .setStartingOffsets(OffsetsInitializer.earliest())
        .setDeserializer(new Heard.Reader())
        .setProperty("commit.offsets.on.checkpoint", "false")
        .setProperty("isolation.level", "read_committed")
        .setProperty("max.poll.records", "10000")
        .build();
  }

  private Set<TopicPartition> partitions(int lane) {
    return IntStream.range(0, arguments.partitions())
        .filter(partition -> partition % lanes == lane)
        .mapToObj(partition -> new TopicPartition(arguments.input(), partition))
        .collect(Collectors.toSet());
  }

  private KafkaSink<Published> sink(int lane) {
    return KafkaSink.<Published>builder()
        .setBootstrapServers(arguments.bootstrap())
        .setDeliveryGuarantee(DeliveryGuarantee.EXACTLY_ONCE)
        .setTransactionalIdPrefix(arguments.group() + "-" + lane)
        .setTransactionNamingStrategy(TransactionNamingStrategy.POOLING)
        .setProperty("transaction.timeout.ms", "600000")
        .setProperty("compression.type", "lz4")
        .setProperty("retry.backoff.ms", "10")
        .setProperty("batch.size", "131072")
        .setProperty("linger.ms", "20")
        .setRecordSerializer(new Published.Writer(arguments.output()))
        .build();
  }
}
