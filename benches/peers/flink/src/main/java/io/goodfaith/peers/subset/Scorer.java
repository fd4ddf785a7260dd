package io.goodfaith.peers.subset;

import java.lang.invoke.MethodHandles;
import java.lang.invoke.VarHandle;
import java.nio.ByteOrder;
import java.util.Arrays;

/**
 * One customer's state under one observation after the other: without duplicates, decayed, fused, published when the score has moved.
 *
 * <p>The state is bytes, worked on where they lie: a store that keeps objects and one that keeps bytes both keep the same array, and
 * neither turns one into the other. It holds, in this order, when it stands ({@code as_of}), the score last published, how many records
 * were accepted, the masses for and against of each dimension, decayed to {@code as_of}, and the hashes of the last 64 records.
 *
 * <p>A scorer belongs to one thread.
 */
public final class Scorer {
  private static final VarHandle LONG =
      MethodHandles.byteArrayViewVarHandle(long[].class, ByteOrder.LITTLE_ENDIAN);
  private static final VarHandle INT =
      MethodHandles.byteArrayViewVarHandle(int[].class, ByteOrder.LITTLE_ENDIAN);
  private static final VarHandle DOUBLE =
      MethodHandles.byteArrayViewVarHandle(double[].class, ByteOrder.LITTLE_ENDIAN);
  private static final VarHandle OUT_LONG =
      MethodHandles.byteArrayViewVarHandle(long[].class, ByteOrder.BIG_ENDIAN);
  private static final VarHandle OUT_INT =
      MethodHandles.byteArrayViewVarHandle(int[].class, ByteOrder.BIG_ENDIAN);

  private static final int AS_OF = 0;
  private static final int PUBLISHED = 8;
  /** Accepted records, up to 64; from there on it goes round from 64 to 127, and says where in the ring the next belongs. */
  private static final int ACCEPTED = 12;
  private static final int MASSES = 16;
  private static final int RING = MASSES + 12 * 8;
  private static final int RING_SIZE = 64;
  /** A ring grows by this many places at a time, until it has all 64. */
  private static final int RING_STEP = 8;

  private static final int NEVER = -1;
  private static final int THRESHOLD = 10_000;

  private static final Dimension[] DIMENSIONS = Dimension.values();
  private static final double LN_2 = Math.log(2);
  private static final double DAY_MS = 86_400_000;
  private static final double LN_HALF = Math.log(0.5);

  private byte[] state;
  private boolean accepted;
  private byte[] publication;

  /**
   * The state of a customer after {@code observation}; null stands for that of a customer not seen before.
   *
   * <p>It is the array that came in, changed in place, or a longer one. {@link #publication} says what came of it.
   */
  public byte[] apply(byte[] before, Observation observation) {
    state = before == null ? unknown() : before;
    publication = null;
    accepted = remember(observation.event);
    if (!accepted) {
      return state;
    }
    advance(observation.time);
    long age = asOf() - observation.time;
    for (int i = 0; i < observation.count(); i++) {
      add(observation, i, age);
    }
    publish();
    return state;
  }

  /** Whether the last {@link #apply} changed the state; it does not for a duplicate. */
  public boolean isAccepted() {
    return accepted;
  }

  /** What the last {@link #apply} publishes, the 16 bytes of an output; null if nothing. */
  public byte[] publication() {
    return publication;
  }

  private static byte[] unknown() {
    byte[] state = new byte[RING + RING_STEP * 8];
    LONG.set(state, AS_OF, Long.MIN_VALUE);
    INT.set(state, PUBLISHED, NEVER);
    return state;
  }

  private long asOf() {
    return (long) LONG.get(state, AS_OF);
  }

  /** Notes a record among the last 64; false if it is there. */
  private boolean remember(long event) {
    int accepted = (int) INT.get(state, ACCEPTED);
    int held = Math.min(accepted, RING_SIZE);
    for (int i = 0; i < held; i++) {
      if ((long) LONG.get(state, RING + i * 8) == event) {
        return false;
      }
    }
    if (held < RING_SIZE && RING + held * 8 == state.length) {
      state = Arrays.copyOf(state, state.length + RING_STEP * 8);
    }
    LONG.set(state, RING + accepted % RING_SIZE * 8, event);
    INT.set(state, ACCEPTED, accepted + 1 < 2 * RING_SIZE ? accepted + 1 : RING_SIZE);
    return true;
  }

  /** Moves the clock, which never goes back, and decays the masses to it. */
  private void advance(long time) {
    long asOf = asOf();
    if (time <= asOf) {
      return;
    }
    LONG.set(state, AS_OF, time);
    if (asOf == Long.MIN_VALUE) {
      return;
    }
    double shorter = factor(time - asOf, 180);
    double longer = factor(time - asOf, 365);
    for (Dimension dimension : DIMENSIONS) {
      double factor = dimension.halfLifeDays == 180 ? shorter : longer;
      scale(place(dimension, false), factor);
      scale(place(dimension, true), factor);
    }
  }

  /** 2^(−age/h). */
  private static double factor(long age, int halfLifeDays) {
    return Math.exp(-LN_2 * age / (halfLifeDays * DAY_MS));
  }

  private static int place(Dimension dimension, boolean against) {
    return MASSES + (dimension.ordinal() * 2 + (against ? 1 : 0)) * 8;
  }

  private double mass(int place) {
    return (double) DOUBLE.get(state, place);
  }

  private void scale(int place, double factor) {
    DOUBLE.set(state, place, mass(place) * factor);
  }

  private void add(Observation observation, int index, long age) {
    Dimension dimension = observation.dimension(index);
    boolean against = observation.isAgainst(index);
    double lambda = against ? dimension.lambda : 1;
    double decayed = age == 0 ? 1 : factor(age, dimension.halfLifeDays);
    int place = place(dimension, against);
    DOUBLE.set(state, place, mass(place) + observation.weight(index) * lambda * decayed);
  }

  private void publish() {
    int score = score();
    int previous = (int) INT.get(state, PUBLISHED);
    if (score == NEVER || (previous != NEVER && Math.abs(score - previous) < THRESHOLD)) {
      return;
    }
    INT.set(state, PUBLISHED, score);
    publication = new byte[16];
    OUT_LONG.set(publication, 0, asOf());
    OUT_INT.set(publication, 8, score);
    OUT_INT.set(publication, 12, previous);
  }

  /** T in millionths; {@link #NEVER} without any evidence. */
  private int score() {
    boolean known = false;
    double logarithm = 0;
    for (Dimension dimension : DIMENSIONS) {
      double r = mass(place(dimension, false));
      double s = mass(place(dimension, true));
      if (r == 0 && s == 0) {
        logarithm += dimension.weight * LN_HALF;
      } else {
        known = true;
        logarithm += dimension.weight * Math.log((r + 1) / (r + s + 2));
      }
    }
    return known ? (int) Math.rint(Math.exp(logarithm) * 1e6) : NEVER;
  }
}
