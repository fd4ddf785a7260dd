package io.goodfaith.peer;

import java.time.Duration;
import java.util.HashMap;
import java.util.Map;
import java.util.Properties;
import java.util.concurrent.CountDownLatch;
import org.apache.kafka.clients.consumer.ConsumerConfig;
import org.apache.kafka.clients.producer.ProducerConfig;
import org.apache.kafka.common.serialization.Serdes;
import org.apache.kafka.streams.KafkaStreams;
import org.apache.kafka.streams.StreamsConfig;
import org.apache.kafka.streams.Topology;
import org.apache.kafka.streams.errors.StreamsUncaughtExceptionHandler.StreamThreadExceptionResponse;
import org.apache.kafka.streams.state.KeyValueBytesStoreSupplier;
import org.apache.kafka.streams.state.Stores;

/** Reads the arguments of ../README.md and runs the topology until SIGTERM. */
public final class Main {
    private static final int USAGE = 2;

    private Main() {}

    /** Runs until it is told to end; ends by itself only after a failure, with 1. */
    public static void main(String[] words) throws InterruptedException {
        Map<String, String> arguments = read(words);
        KafkaStreams streams = new KafkaStreams(topology(arguments), settings(arguments));
        streams.setUncaughtExceptionHandler(failure -> {
            failure.printStackTrace();
            Runtime.getRuntime().halt(1);
            return StreamThreadExceptionResponse.SHUTDOWN_CLIENT;
        });
        CountDownLatch stopped = new CountDownLatch(1);
        Runtime.getRuntime().addShutdownHook(new Thread(() -> {
            streams.close(Duration.ofSeconds(20));
            stopped.countDown();
        }));
        streams.start();
        stopped.await();
    }

    private static Map<String, String> read(String[] words) {
        Map<String, String> arguments = new HashMap<>();
        for (int i = 0; i + 1 < words.length; i += 2) arguments.put(words[i], words[i + 1]);
        for (String name : new String[] {"--bootstrap", "--input", "--output", "--group", "--state-dir", "--store", "--threads", "--commit-ms"}) {
            if (!arguments.containsKey(name)) refuse(name + " is missing");
        }
        return arguments;
    }

    private static void refuse(String why) {
        System.err.println("kafka-streams: " + why);
        System.exit(USAGE);
    }

    private static Topology topology(Map<String, String> arguments) {
        var bytes = Serdes.Bytes();
        var value = Serdes.ByteArray();
        // Logged to a changelog topic, so that it survives; cached, so that a customer is logged once a commit and not once a record.
        var store = Stores.keyValueStoreBuilder(supplier(arguments.get("--store")), bytes, value)
            .withLoggingEnabled(Map.of())
            .withCachingEnabled();
        return new Topology()
            .addSource("events", bytes.deserializer(), value.deserializer(), arguments.get("--input"))
            .addProcessor("score", Scorer::new, "events")
            .addStateStore(store, "score")
            .addSink("scores", arguments.get("--output"), bytes.serializer(), value.serializer(), "score");
    }

    private static KeyValueBytesStoreSupplier supplier(String kind) {
        return switch (kind) {
            case "memory" -> Stores.inMemoryKeyValueStore(Scorer.STORE);
            case "rocksdb" -> Stores.persistentKeyValueStore(Scorer.STORE);
            default -> {
                refuse("--store " + kind + ": memory or rocksdb");
                throw new IllegalStateException();
            }
        };
    }

    private static Properties settings(Map<String, String> arguments) {
        Properties settings = new Properties();
        settings.put(StreamsConfig.BOOTSTRAP_SERVERS_CONFIG, arguments.get("--bootstrap"));
        settings.put(StreamsConfig.APPLICATION_ID_CONFIG, arguments.get("--group"));
        settings.put(StreamsConfig.STATE_DIR_CONFIG, arguments.get("--state-dir"));
        settings.put(StreamsConfig.NUM_STREAM_THREADS_CONFIG, arguments.get("--threads"));
        settings.put(StreamsConfig.PROCESSING_GUARANTEE_CONFIG, StreamsConfig.EXACTLY_ONCE_V2);
        settings.put(StreamsConfig.COMMIT_INTERVAL_MS_CONFIG, arguments.get("--commit-ms"));
        settings.put(StreamsConfig.REPLICATION_FACTOR_CONFIG, 1);
        settings.put(StreamsConfig.STATESTORE_CACHE_MAX_BYTES_CONFIG, 256L << 20);
        settings.put(StreamsConfig.BUFFERED_RECORDS_PER_PARTITION_CONFIG, 10_000);
        settings.put(StreamsConfig.ROCKSDB_CONFIG_SETTER_CLASS_CONFIG, RocksSettings.class);
        settings.put(RocksSettings.MEMORY_MIB, arguments.getOrDefault("--memory-mib", "4096"));
        settings.put(StreamsConfig.consumerPrefix(ConsumerConfig.AUTO_OFFSET_RESET_CONFIG), "earliest");
        settings.put(StreamsConfig.mainConsumerPrefix(ConsumerConfig.MAX_POLL_RECORDS_CONFIG), 10_000);
        settings.put(StreamsConfig.mainConsumerPrefix(ConsumerConfig.MAX_PARTITION_FETCH_BYTES_CONFIG), 4 << 20);
        settings.put(StreamsConfig.producerPrefix(ProducerConfig.COMPRESSION_TYPE_CONFIG), "lz4");
        settings.put(StreamsConfig.producerPrefix(ProducerConfig.BATCH_SIZE_CONFIG), 256 << 10);
        settings.put(StreamsConfig.producerPrefix(ProducerConfig.LINGER_MS_CONFIG), 100);
        settings.put(StreamsConfig.producerPrefix(ProducerConfig.BUFFER_MEMORY_CONFIG), 128L << 20);
        return settings;
    }
}
