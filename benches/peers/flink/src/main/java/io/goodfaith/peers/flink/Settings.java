package io.goodfaith.peers.flink;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.Comparator;
import java.util.Optional;
import java.util.stream.Stream;
import org.apache.flink.changelog.fs.FsStateChangelogOptions;
import org.apache.flink.configuration.CheckpointingOptions;
import org.apache.flink.configuration.Configuration;
import org.apache.flink.configuration.CoreOptions;
import org.apache.flink.configuration.ExternalizedCheckpointRetention;
import org.apache.flink.configuration.MemorySize;
import org.apache.flink.configuration.PipelineOptions;
import org.apache.flink.configuration.RestartStrategyOptions;
import org.apache.flink.configuration.StateBackendOptions;
import org.apache.flink.configuration.StateChangelogOptions;
import org.apache.flink.configuration.StateRecoveryOptions;
import org.apache.flink.configuration.TaskManagerOptions;
import org.apache.flink.core.execution.CheckpointingMode;
import org.apache.flink.core.execution.RecoveryClaimMode;
import org.apache.flink.state.rocksdb.PredefinedOptions;
import org.apache.flink.state.rocksdb.RocksDBConfigurableOptions;
import org.apache.flink.state.rocksdb.RocksDBOptions;

/** How the cluster is set up; README.md says why so. */
final class Settings {
  private final Arguments arguments;
  private final Path folder;
  private final Configuration configuration = new Configuration();

  private Settings(Arguments arguments) {
    this.arguments = arguments;
    folder = Path.of(arguments.stateDir()).toAbsolutePath();
  }

  static Configuration of(Arguments arguments) throws IOException {
    Settings settings = new Settings(arguments);
    settings.cluster();
    settings.checkpoints();
    settings.store();
    settings.recovery();
    return settings.configuration;
  }

  private void cluster() {
    configuration.set(CoreOptions.TMP_DIRS, folder.resolve("tmp").toString());
    configuration.set(PipelineOptions.OBJECT_REUSE, true);
    configuration.set(RestartStrategyOptions.RESTART_STRATEGY, "none");
    // The lanes share one slot, and with it the memory that RocksDB gets.
    configuration.set(TaskManagerOptions.NUM_TASK_SLOTS, 1);
    configuration.set(
        TaskManagerOptions.MANAGED_MEMORY_SIZE, MemorySize.ofMebiBytes(arguments.managedMib()));
  }

  private void checkpoints() {
    configuration.set(
        CheckpointingOptions.CHECKPOINTING_CONSISTENCY_MODE, CheckpointingMode.EXACTLY_ONCE);
    configuration.set(
        CheckpointingOptions.CHECKPOINTING_INTERVAL, Duration.ofMillis(arguments.commitMs()));
    configuration.set(CheckpointingOptions.CHECKPOINT_STORAGE, "filesystem");
    configuration.set(CheckpointingOptions.CHECKPOINTS_DIRECTORY, uri(checkpointFolder()));
    configuration.set(CheckpointingOptions.CREATE_CHECKPOINT_SUB_DIR, false);
    configuration.set(
        CheckpointingOptions.EXTERNALIZED_CHECKPOINT_RETENTION,
        ExternalizedCheckpointRetention.RETAIN_ON_CANCELLATION);
  }

  private void store() {
    configuration.set(StateBackendOptions.STATE_BACKEND, arguments.store().backend());
    configuration.set(RocksDBOptions.LOCAL_DIRECTORIES, folder.resolve("rocksdb").toString());
    configuration.set(
        RocksDBOptions.PREDEFINED_OPTIONS, PredefinedOptions.FLASH_SSD_OPTIMIZED.name());
    configuration.set(RocksDBConfigurableOptions.USE_BLOOM_FILTER, true);
    configuration.set(CheckpointingOptions.INCREMENTAL_CHECKPOINTS, true);
    configuration.set(StateChangelogOptions.ENABLE_STATE_CHANGE_LOG, true);
    configuration.set(StateChangelogOptions.STATE_CHANGE_LOG_STORAGE, "filesystem");
    configuration.set(
        StateChangelogOptions.PERIODIC_MATERIALIZATION_INTERVAL, Duration.ofMinutes(3));
    configuration.set(FsStateChangelogOptions.BASE_PATH, uri(folder.resolve("changelog")));
    configuration.set(FsStateChangelogOptions.PERSIST_DELAY, Duration.ofMillis(1));
  }

  private void recovery() throws IOException {
    Optional<Path> newest = newestCheckpoint(checkpointFolder());
    newest.ifPresent(
        path -> {
          configuration.set(StateRecoveryOptions.SAVEPOINT_PATH, uri(path));
          configuration.set(StateRecoveryOptions.RESTORE_MODE, RecoveryClaimMode.CLAIM);
        });
  }

  private Path checkpointFolder() {
    return folder.resolve("checkpoints");
  }

  /** The checkpoint of the highest number that was finished, as its metadata tell, if there is one. */
  private static Optional<Path> newestCheckpoint(Path folder) throws IOException {
    if (!Files.isDirectory(folder)) {
      return Optional.empty();
    }
    try (Stream<Path> children = Files.list(folder)) {
      return children
          .filter(path -> Files.exists(path.resolve("_metadata")))
          .max(Comparator.comparingLong(Settings::number));
    }
  }

  private static long number(Path checkpoint) {
    return Long.parseLong(checkpoint.getFileName().toString().substring("chk-".length()));
  }

  private static String uri(Path path) {
    return path.toUri().toString();
  }
}
