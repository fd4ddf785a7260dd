package io.goodfaith.peers.flink;

import org.apache.flink.streaming.api.environment.StreamExecutionEnvironment;

/** Starts a cluster in this process and runs the job on it until it is killed or fails. */
public final class Main {
  private Main() {}

  /** Arguments as the peers' README names them; exit code 2 if they are wrong, 1 if the job fails. */
  public static void main(String[] args) throws Exception {
    Arguments arguments = arguments(args);
    StreamExecutionEnvironment environment =
        StreamExecutionEnvironment.createLocalEnvironment(1, Settings.of(arguments));
    new Job(arguments).build(environment);
    environment.execute("goodfaith-subset");
  }

  private static Arguments arguments(String[] args) {
    try {
      return Arguments.parse(args);
    } catch (IllegalArgumentException e) {
      System.err.println("flink peer: " + e.getMessage());
      System.exit(2);
      throw e;
    }
  }
}
