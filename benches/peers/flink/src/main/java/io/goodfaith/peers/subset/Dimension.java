package io.goodfaith.peers.subset;

/** What trust consists of: the weight, half-life and λ of each dimension. Its ordinal is its place in a customer's state. */
enum Dimension {
  INTEGRITY(0.25, 365, 2.0),
  COMPETENCE(0.20, 180, 1.5),
  FAIRNESS(0.20, 365, 2.5),
  CARE(0.15, 180, 2.0),
  TRANSPARENCY(0.10, 365, 2.5),
  PROACTIVITY(0.10, 365, 1.0);

  /** ω; they sum to 1. */
  final double weight;
  /** Days: 180 or 365, and no other, so that a step needs two factors of decay. */
  final int halfLifeDays;
  /** What an evidence against is multiplied by. */
  final double lambda;

  Dimension(double weight, int halfLifeDays, double lambda) {
    this.weight = weight;
    this.halfLifeDays = halfLifeDays;
    this.lambda = lambda;
  }
}
