"""Runs the subset on Quix Streams, as ../README.md says a peer is run: one process a thread, in one consumer group."""

import argparse
import ctypes
import os
import signal

from quixstreams import Application

import subset

PR_SET_PDEATHSIG = 1
# A batch of outputs or changes of state is on its way at the end of a commit at the latest.
PRODUCER = {"compression.type": "lz4", "linger.ms": 5, "transaction.timeout.ms": 600_000}
CONSUMER = {"session.timeout.ms": 10_000, "isolation.level": "read_committed"}


def main():
    args = arguments()
    children = [fork(args, index) for index in range(1, args.threads)]
    try:
        run(args, 0)
    finally:
        for child in children:
            os.kill(child, signal.SIGTERM)
        for child in children:
            os.waitpid(child, 0)


def arguments():
    parser = argparse.ArgumentParser()
    for name in ("bootstrap", "input", "output", "group", "state-dir"):
        parser.add_argument(f"--{name}", required=True)
    parser.add_argument("--store", required=True, choices=["rocksdb"])
    for name in ("partitions", "threads", "commit-ms", "memory-mib"):
        parser.add_argument(f"--{name}", required=True, type=int)
    return parser.parse_args()


def fork(args, index):
    """A child that runs its share and ends with its parent, however that ends."""
    child = os.fork()
    if child == 0:
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        run(args, index)
        os._exit(0)
    return child


def run(args, index):
    app = Application(
        broker_address=args.bootstrap,
        consumer_group=args.group,
        auto_offset_reset="earliest",
        processing_guarantee="exactly-once",
        commit_interval=args.commit_ms / 1000,
        # Commits are looked after between polls, so one that finds nothing must not outlast the interval.
        consumer_poll_timeout=args.commit_ms / 2000,
        # Ids of its own let a process that comes back take the place of the one before it at once.
        consumer_extra_config=CONSUMER | {"group.instance.id": f"{args.group}-{index}"},
        producer_extra_config=PRODUCER | {"transactional.id": f"{args.group}-{index}"},
        state_dir=os.path.join(args.state_dir, str(index)),
        loglevel="WARNING",
    )
    as_bytes = {"key_deserializer": "bytes", "value_deserializer": "bytes"}
    to_bytes = {"key_serializer": "bytes", "value_serializer": "bytes"}
    scores = app.dataframe(app.topic(args.input, **as_bytes)).apply(score, stateful=True)
    # Key and headers of the input go along.
    scores.filter(lambda output: output is not None).to_topic(app.topic(args.output, **to_bytes))
    app.run()


def score(value, state):
    after, output = subset.apply(state.get_bytes("customer"), value)
    if after is not None:
        state.set_bytes("customer", after)
    return output


if __name__ == "__main__":
    main()
