package io.goodfaith.peers.flink;

import java.time.Duration;
import java.util.HashMap;
import java.util.Map;
import java.util.TreeMap;
import org.apache.flink.api.common.state.ListState;
import org.apache.flink.api.java.tuple.Tuple2;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.AdminClientConfig;
import org.apache.kafka.clients.consumer.OffsetAndMetadata;
import org.apache.kafka.common.TopicPartition;

/**
 * Tells the consumer group how far a lane has come, once a checkpoint has made that certain.
 *
 * <p>The job itself goes on where its source says, which is in the same checkpoint. The source would tell it too, but only when its fetcher comes
 * back from a poll, which at the end of a topic is up to ten seconds later. Here it is told at the moment the checkpoint is complete,
 * which is after the sink has committed: of a chain the last operator hears of it first.
 */
final class Progress implements AutoCloseable {
  private final Admin admin;
  private final String group;
  private final String topic;
  private final ListState<Tuple2<Integer, Long>> places;
  /** By partition, the offset after the last record handled. */
  private final Map<Integer, Long> next = new HashMap<>();
  /** What {@link #next} was when a checkpoint was taken, by its number. */
  private final TreeMap<Long, Map<Integer, Long>> taken = new TreeMap<>();
  private Map<Integer, Long> told = Map.of();

  /** {@code places} is kept in the checkpoint: what the last process did not live to tell, this one tells. */
  Progress(Arguments arguments, ListState<Tuple2<Integer, Long>> places) throws Exception {
    this.places = places;
    for (Tuple2<Integer, Long> place : places.get()) {
      next.put(place.f0, place.f1);
    }
    admin =
        Admin.create(
            Map.of(AdminClientConfig.BOOTSTRAP_SERVERS_CONFIG, arguments.bootstrap()));
    group = arguments.group();
    topic = arguments.input();
  }

  void handled(int partition, long offset) {
    next.put(partition, offset + 1);
  }

  void taken(long checkpoint) throws Exception {
    taken.put(checkpoint, Map.copyOf(next));
    places.update(
        next.entrySet().stream().map(it -> Tuple2.of(it.getKey(), it.getValue())).toList());
  }

  /** What fails to arrive is told again with the next checkpoint that changes anything. */
  void completed(long checkpoint) {
    Map<Integer, Long> reached = taken.get(checkpoint);
    taken.headMap(checkpoint, true).clear();
    if (reached == null || reached.equals(told)) {
      return;
    }
    told = reached;
    Map<TopicPartition, OffsetAndMetadata> offsets = new HashMap<>();
    reached.forEach(
        (partition, offset) ->
            offsets.put(new TopicPartition(topic, partition), new OffsetAndMetadata(offset)));
    admin.alterConsumerGroupOffsets(group, offsets);
  }

  @Override
  public void close() {
    admin.close(Duration.ofSeconds(1));
  }
}
