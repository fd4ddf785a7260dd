package io.goodfaith.peer;

import com.google.protobuf.InvalidProtocolBufferException;
import goodfaith.v1.EventOuterClass.Event;
import org.apache.kafka.common.utils.Bytes;
import org.apache.kafka.streams.processor.api.Processor;
import org.apache.kafka.streams.processor.api.ProcessorContext;
import org.apache.kafka.streams.processor.api.Record;
import org.apache.kafka.streams.state.KeyValueStore;

/** One record in, at most one score change out. The headers of the input travel with the output. */
final class Scorer implements Processor<Bytes, byte[], Bytes, byte[]> {
    /** The state store's name. */
    static final String STORE = "customers";

    private final Customer customer = new Customer();
    private ProcessorContext<Bytes, byte[]> context;
    private KeyValueStore<Bytes, byte[]> store;

    @Override
    public void init(ProcessorContext<Bytes, byte[]> context) {
        this.context = context;
        store = context.getStateStore(STORE);
    }

    @Override
    public void process(Record<Bytes, byte[]> record) {
        Event event;
        try {
            event = Event.parseFrom(record.value());
        } catch (InvalidProtocolBufferException notAnEvent) {
            return;
        }
        customer.read(store.get(record.key()));
        if (!customer.accept(event)) return;
        boolean publishes = customer.publishes();
        store.put(record.key(), customer.write());
        if (publishes) context.forward(record.withValue(customer.output()));
    }
}
