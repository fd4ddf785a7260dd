package io.goodfaith.peers.flink;

import io.goodfaith.peers.subset.Scorer;
import org.apache.flink.api.common.functions.OpenContext;
import org.apache.flink.api.common.state.CheckpointListener;
import org.apache.flink.api.common.state.ListStateDescriptor;
import org.apache.flink.api.common.state.ValueState;
import org.apache.flink.api.common.state.ValueStateDescriptor;
import org.apache.flink.api.common.typeinfo.PrimitiveArrayTypeInfo;
import org.apache.flink.api.common.typeinfo.Types;
import org.apache.flink.api.java.tuple.Tuple2;
import org.apache.flink.runtime.state.FunctionInitializationContext;
import org.apache.flink.runtime.state.FunctionSnapshotContext;
import org.apache.flink.streaming.api.checkpoint.CheckpointedFunction;
import org.apache.flink.streaming.api.functions.KeyedProcessFunction;
import org.apache.flink.util.Collector;

/** Puts what was heard to its customer's state, which is the array of bytes that the scorer works on. */
final class Score extends KeyedProcessFunction<String, Heard, Published>
    implements CheckpointedFunction, CheckpointListener {
  private final Arguments arguments;
  private transient Scorer scorer;
  private transient Published published;
  private transient ValueState<byte[]> customer;
  private transient Progress progress;

  Score(Arguments arguments) {
    this.arguments = arguments;
  }

  @Override
  public void open(OpenContext context) {
    scorer = new Scorer();
    published = new Published();
    customer =
        getRuntimeContext()
            .getState(
                new ValueStateDescriptor<>(
                    "customer", PrimitiveArrayTypeInfo.BYTE_PRIMITIVE_ARRAY_TYPE_INFO));
  }

  @Override
  public void processElement(Heard heard, Context context, Collector<Published> out)
      throws Exception {
    progress.handled(heard.partition, heard.offset);
    if (heard.isEvent) {
      score(heard, out);
    }
  }

  private void score(Heard heard, Collector<Published> out) throws Exception {
    byte[] state = scorer.apply(customer.value(), heard.observation);
    if (!scorer.isAccepted()) {
      return;
    }
    customer.update(state);
    byte[] value = scorer.publication();
    if (value != null) {
      published.key = heard.key;
      published.value = value;
      published.intended = heard.intended;
      out.collect(published);
    }
  }

  @Override
  public void initializeState(FunctionInitializationContext context) throws Exception {
    ListStateDescriptor<Tuple2<Integer, Long>> places =
        new ListStateDescriptor<>("places", Types.TUPLE(Types.INT, Types.LONG));
    progress = new Progress(arguments, context.getOperatorStateStore().getListState(places));
  }

  @Override
  public void snapshotState(FunctionSnapshotContext context) throws Exception {
    progress.taken(context.getCheckpointId());
  }

  @Override
  public void notifyCheckpointComplete(long checkpoint) {
    progress.completed(checkpoint);
  }

  @Override
  public void close() {
    if (progress != null) {
      progress.close();
    }
  }
}
