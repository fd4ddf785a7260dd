package io.goodfaith.peer;

import java.util.Map;
import org.apache.kafka.streams.state.RocksDBConfigSetter;
import org.rocksdb.BlockBasedTableConfig;
import org.rocksdb.BloomFilter;
import org.rocksdb.Cache;
import org.rocksdb.LRUCache;
import org.rocksdb.Options;
import org.rocksdb.WriteBufferManager;

/** One cache and one budget of write buffers for all stores of the process, as Kafka's documentation advises; a Bloom filter for misses. */
public final class RocksSettings implements RocksDBConfigSetter {
    /** The setting that says what the process may use in all, in MiB. */
    static final String MEMORY_MIB = "goodfaith.memory.mib";

    private static Cache cache;
    private static WriteBufferManager writeBuffers;
    private static final BloomFilter BLOOM = new BloomFilter(10, false);

    @Override
    public void setConfig(String store, Options options, Map<String, Object> configs) {
        share(Long.parseLong(configs.get(MEMORY_MIB).toString()) << 20);
        BlockBasedTableConfig table = (BlockBasedTableConfig) options.tableFormatConfig();
        table.setBlockCache(cache);
        table.setCacheIndexAndFilterBlocks(true);
        table.setFilterPolicy(BLOOM);
        options.setWriteBufferManager(writeBuffers);
        options.setTableFormatConfig(table);
    }

    /** A quarter of the memory: the heap has half, and the rest is room for what RocksDB does not count. */
    private static synchronized void share(long memoryBytes) {
        if (cache != null) return;
        long native_ = memoryBytes / 4;
        cache = new LRUCache(native_);
        writeBuffers = new WriteBufferManager(native_ / 2, cache);
    }

    @Override
    public void close(String store, Options options) {
        // What all stores share lives as long as the process.
    }
}
