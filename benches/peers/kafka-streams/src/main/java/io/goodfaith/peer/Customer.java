package io.goodfaith.peer;

import goodfaith.v1.EventOuterClass.Attested;
import goodfaith.v1.EventOuterClass.Cause;
import goodfaith.v1.EventOuterClass.ComplaintOutcome;
import goodfaith.v1.EventOuterClass.Event;
import goodfaith.v1.EventOuterClass.RemedyKind;
import java.nio.ByteBuffer;
import java.util.Arrays;

/** One customer: read from the store's bytes, moved by an event, written back. One instance is reused by its thread. */
final class Customer {
    private static final int RING_LENGTH = 64;
    private static final int NEVER = -1;
    private static final int FIXED_BYTES = 8 + 4 + 1 + 1 + 2 * Score.DIMENSIONS * 8;

    /** Masses for and against, a pair a dimension, decayed to {@link #asOf}. */
    private final double[] masses = new double[2 * Score.DIMENSIONS];
    /** Hashes of the last accepted records; {@code next} is where the next one goes. */
    private final long[] ring = new long[RING_LENGTH];
    private int held, next;
    private long asOf;
    private int published;
    private int publishedBefore;

    /** Reads the state of {@link #write}; null is a customer never seen. */
    void read(byte[] state) {
        if (state == null) {
            Arrays.fill(masses, 0);
            held = next = 0;
            asOf = Long.MIN_VALUE;
            published = NEVER;
            return;
        }
        ByteBuffer in = ByteBuffer.wrap(state);
        asOf = in.getLong();
        published = in.getInt();
        held = in.get();
        next = in.get();
        for (int i = 0; i < masses.length; i++) masses[i] = in.getDouble();
        for (int i = 0; i < held; i++) ring[i] = in.getLong();
    }

    /** The state as bytes: the ring as long as it is. */
    byte[] write() {
        ByteBuffer out = ByteBuffer.allocate(FIXED_BYTES + 8 * held);
        out.putLong(asOf).putInt(published).put((byte) held).put((byte) next);
        for (double mass : masses) out.putDouble(mass);
        for (int i = 0; i < held; i++) out.putLong(ring[i]);
        return out.array();
    }

    /** Takes a record in, unless it is among the last accepted; whether it was taken. */
    boolean accept(Event event) {
        long hash = hash(event.getSource(), event.getId());
        for (int i = 0; i < held; i++) if (ring[i] == hash) return false;
        ring[next] = hash;
        next = (next + 1) % RING_LENGTH;
        held = Math.min(held + 1, RING_LENGTH);
        long time = event.getTime().getSeconds() * 1000 + event.getTime().getNanos() / 1_000_000;
        advance(time);
        observe(event, time);
        return true;
    }

    /** Is the score to be published? If so it counts as published from now on. */
    boolean publishes() {
        int score = Score.of(masses);
        boolean hasEvidence = false;
        for (double mass : masses) hasEvidence |= mass != 0;
        if (!hasEvidence || published != NEVER && Math.abs(score - published) < Score.CHANGE_MIN) return false;
        publishedBefore = published;
        published = score;
        return true;
    }

    /** The output: as_of, the score, the one published before. */
    byte[] output() {
        return ByteBuffer.allocate(16).putLong(asOf).putInt(published).putInt(publishedBefore).array();
    }

    /** Moves the clock, and the masses with it. */
    private void advance(long time) {
        if (time <= asOf) return;
        if (asOf != Long.MIN_VALUE) {
            double fast = Score.fast(time - asOf), slow = Score.slow(time - asOf);
            for (int i = 0; i < masses.length; i++) masses[i] *= Score.isSlow(i / 2) ? slow : fast;
        }
        asOf = time;
    }

    private void observe(Event event, long time) {
        switch (event.getBodyCase()) {
            case SERVICE_DELIVERED -> {
                var body = event.getServiceDelivered();
                if (!body.hasRightFirstTime() || body.getRightFirstTime()) {
                    add(Score.COMPETENCE, true, 0.25 * eta(body.getAttestedBy()), time);
                }
            }
            case ORDER_FULFILLED -> {
                var body = event.getOrderFulfilled();
                if (!body.hasComplete() || body.getComplete()) {
                    add(Score.COMPETENCE, true, 0.25 * eta(body.getAttestedBy()), time);
                }
            }
            case BILLING_ERROR_CONFIRMED -> {
                var body = event.getBillingErrorConfirmed();
                double sigma = body.hasAmount() ? Score.sigma(body.getAmount().getMinor()) : 1;
                add(Score.COMPETENCE, false, sigma * eta(body.getAttestedBy()) * alpha(body.getCause()), time);
            }
            case CONTACT_CLOSED -> {
                var body = event.getContactClosed();
                double eta = eta(body.getAttestedBy());
                if (body.getTransfers() >= 2) {
                    add(Score.COMPETENCE, false, Math.min(1, 0.25 * (body.getTransfers() - 1)) * eta, time);
                }
                if (body.hasWaitedMs() && body.hasWaitStatedMs() && body.getWaitedMs() > 2 * body.getWaitStatedMs()) {
                    add(Score.CARE, false, 0.25 * eta, time);
                }
            }
            case COMPLAINT_RESOLVED -> {
                var body = event.getComplaintResolved();
                double eta = eta(body.getAttestedBy());
                boolean isUpheld = body.getOutcome() == ComplaintOutcome.COMPLAINT_OUTCOME_UPHELD;
                if (isUpheld) add(Score.CARE, false, 0.5 * eta, time);
                if (body.getApology() && body.getRedress()) add(Score.CARE, true, 0.25 * eta, time);
                if (isUpheld && body.getMisled()) add(Score.TRANSPARENCY, false, 3 * eta, time);
            }
            case ESCALATION_DECIDED -> {
                var body = event.getEscalationDecided();
                if (body.getUpheld() && body.getMisled()) add(Score.TRANSPARENCY, false, 3, time);
            }
            case REMEDY_ISSUED -> {
                var body = event.getRemedyIssued();
                if (body.getKind() == RemedyKind.REMEDY_KIND_GOODWILL) {
                    add(Score.CARE, true, 0.5 * Score.sigma(body.getAmount().getMinor()), time);
                }
            }
            case SAVINGS_ADVISED -> {
                long annual = 12 * event.getSavingsAdvised().getSavingMonthly().getMinor();
                add(Score.PROACTIVITY, true, 0.75 * Score.sigma(annual), time);
            }
            case DISCLOSURE_MADE -> {
                if (event.getDisclosureMade().getBeforeCustomerContact()) add(Score.TRANSPARENCY, true, 1.5, time);
            }
            default -> { }
        }
    }

    private void add(int dimension, boolean isPositive, double weight, long time) {
        long age = asOf - time;
        double left = age == 0 ? 1 : Score.isSlow(dimension) ? Score.slow(age) : Score.fast(age);
        masses[2 * dimension + (isPositive ? 0 : 1)] += Score.mass(dimension, isPositive, weight) * left;
    }

    private static double eta(Attested by) {
        return by == Attested.ATTESTED_AGENT ? 0.7 : 1;
    }

    private static double alpha(Cause cause) {
        return switch (cause) {
            case CAUSE_FORCE_MAJEURE -> 0.25;
            case CAUSE_CUSTOMER -> 0;
            default -> 1;
        };
    }

    /** FNV-1a, 64 bits, of the texts with a line feed between: they are ASCII. */
    private static long hash(String source, String id) {
        return hash(id, (hash(source, 0xcbf29ce484222325L) ^ '\n') * 0x100000001b3L);
    }

    private static long hash(String text, long hash) {
        for (int i = 0; i < text.length(); i++) hash = (hash ^ text.charAt(i)) * 0x100000001b3L;
        return hash;
    }
}
