package io.goodfaith.peer;

/** What the score is made of: weights, half-lives and the formulas of the subset. It keeps nothing. */
final class Score {
    /** Dimensions, in their order. */
    static final int INTEGRITY = 0, COMPETENCE = 1, FAIRNESS = 2, CARE = 3, TRANSPARENCY = 4, PROACTIVITY = 5;
    /** How many there are. */
    static final int DIMENSIONS = 6;
    /** Change since the last publication that is published, in millionths. */
    static final int CHANGE_MIN = 10_000;

    private static final double DAY_MS = 86_400_000;
    private static final double[] OMEGA = {0.25, 0.20, 0.20, 0.15, 0.10, 0.10};
    private static final double[] LAMBDA = {2, 1.5, 2.5, 2, 2.5, 1};
    private static final boolean[] IS_SLOW = {true, false, true, false, true, true};
    private static final double LN_2 = Math.log(2), LN_HALF = -LN_2;
    private static final double WEIGHT_MAX = 8, SIGMA_MAX = 4, SIGMA_UNIT = 3000;

    private Score() {}

    /** What the mass of one evidence is when its dimension's factor is 1: with λ if it is against the firm. */
    static double mass(int dimension, boolean isPositive, double weight) {
        double bounded = Math.min(WEIGHT_MAX, weight);
        return isPositive ? bounded : bounded * LAMBDA[dimension];
    }

    /** σ of an amount in minor units. */
    static double sigma(long minor) {
        return Math.min(SIGMA_MAX, 1 + Math.log(1 + Math.max(0, minor) / SIGMA_UNIT) / LN_2);
    }

    /** What is left, after so many milliseconds, of a mass with the half-life of 180 days. */
    static double fast(long elapsedMs) {
        return Math.exp(elapsedMs * (LN_HALF / (180 * DAY_MS)));
    }

    /** The same with the half-life of 365 days. */
    static double slow(long elapsedMs) {
        return Math.exp(elapsedMs * (LN_HALF / (365 * DAY_MS)));
    }

    /** Does a dimension forget with the half-life of 365 days? */
    static boolean isSlow(int dimension) {
        return IS_SLOW[dimension];
    }

    /** T in millionths, rounded half even, of the masses for (even places) and against (odd places). */
    static int of(double[] masses) {
        double sum = 0;
        for (int d = 0; d < DIMENSIONS; d++) {
            double r = masses[2 * d], s = masses[2 * d + 1];
            sum += OMEGA[d] * (r == 0 && s == 0 ? LN_HALF : Math.log((r + 1) / (r + s + 2)));
        }
        return (int) Math.rint(Math.exp(sum) * 1e6);
    }
}
