package io.goodfaith.peers.subset;

/**
 * What one event says, as far as the subset hears it: when, which event it is, and up to three pieces of evidence.
 *
 * <p>Made once and filled again by {@link Decoder#decode}, so that reading an event leaves nothing of ours behind.
 */
public final class Observation {
  /** An escalation, a complaint and a contact have no more. */
  private static final int MOST = 3;

  /** Milliseconds since 1970. */
  long time;

  /** A hash of source and id. */
  long event;

  private int count;
  private final Dimension[] dimensions = new Dimension[MOST];
  private final boolean[] isAgainst = new boolean[MOST];
  private final double[] weights = new double[MOST];

  void clear() {
    count = 0;
  }

  void support(Dimension dimension, double weight) {
    add(dimension, false, weight);
  }

  void oppose(Dimension dimension, double weight) {
    add(dimension, true, weight);
  }

  private void add(Dimension dimension, boolean against, double weight) {
    if (weight == 0) {
      return;
    }
    dimensions[count] = dimension;
    isAgainst[count] = against;
    weights[count] = Math.min(8, weight);
    count++;
  }

  /** How many pieces of evidence: 0 to 3. */
  int count() {
    return count;
  }

  Dimension dimension(int index) {
    return dimensions[index];
  }

  boolean isAgainst(int index) {
    return isAgainst[index];
  }

  /** Above 0, at most 8, before λ. */
  double weight(int index) {
    return weights[index];
  }
}
