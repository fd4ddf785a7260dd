package io.goodfaith.peers.flink;

import java.io.Serializable;
import java.util.HashMap;
import java.util.Map;

/** What the peer is started with: the table "The program" of the peers' README. */
record Arguments(
    String bootstrap,
    String input,
    String output,
    String group,
    int partitions,
    String stateDir,
    Store store,
    int threads,
    long commitMs,
    int managedMib)
    implements Serializable {

  /** Where customers are kept while the job runs. */
  enum Store {
    MEMORY("hashmap"),
    ROCKSDB("rocksdb");

    private final String backend;

    Store(String backend) {
      this.backend = backend;
    }

    /** Flink's name of it. */
    String backend() {
      return backend;
    }
  }

  /** Reads {@code --name value} pairs; an {@link IllegalArgumentException} says which is wrong. */
  static Arguments parse(String[] args) {
    Map<String, String> values = new HashMap<>();
    for (int i = 0; i < args.length; i += 2) {
      if (!args[i].startsWith("--") || i + 1 == args.length) {
        throw new IllegalArgumentException("expected --name value, found " + args[i]);
      }
      values.put(args[i].substring(2), args[i + 1]);
    }
    return new Arguments(
        text(values, "bootstrap"),
        text(values, "input"),
        text(values, "output"),
        text(values, "group"),
        number(values, "partitions"),
        text(values, "state-dir"),
        store(text(values, "store")),
        number(values, "threads"),
        number(values, "commit-ms"),
        number(values, "managed-mib"));
  }

  private static String text(Map<String, String> values, String name) {
    String value = values.get(name);
    if (value == null) {
      throw new IllegalArgumentException("--" + name + " is missing");
    }
    return value;
  }

  private static int number(Map<String, String> values, String name) {
    try {
      return Integer.parseInt(text(values, name));
    } catch (NumberFormatException e) {
      throw new IllegalArgumentException("--" + name + " must be a number", e);
    }
  }

  private static Store store(String value) {
    return switch (value) {
      case "memory" -> Store.MEMORY;
      case "rocksdb" -> Store.ROCKSDB;
      default -> throw new IllegalArgumentException("--store must be memory or rocksdb");
    };
  }
}
