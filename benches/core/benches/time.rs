//! How long single steps of the core take: `make bench-core`.

use criterion::{BatchSize, Criterion, criterion_group, criterion_main};
use goodfaith_bench_core as core;

fn steps(criterion: &mut Criterion) {
    let (json, proto) = (core::bill_json(), core::bill_proto());
    criterion.bench_function("decode a bill, JSON", |b| b.iter(|| core::decode_bill(&json)));
    criterion.bench_function("decode a bill, Protobuf", |b| b.iter(|| core::decode_bill(&proto)));

    let mut evidences = core::evidences();
    criterion.bench_function("record an evidence", |b| b.iter(|| core::record(&mut evidences)));
    criterion.bench_function("fuse a score", |b| b.iter(|| core::fuse(&evidences)));
    criterion.bench_function("explain a score", |b| b.iter(|| core::explain_score(&evidences)));
    let told = core::told();
    criterion.bench_function("explain a customer", |b| b.iter(|| core::explain_customer(&told)));

    criterion.bench_function("judge a bill", |b| {
        b.iter_batched(core::squeezed, core::handle, BatchSize::SmallInput);
    });
    criterion.bench_function("live a story", |b| {
        b.iter_batched(core::story, core::handle, BatchSize::SmallInput);
    });
    let effects = core::effects();
    criterion.bench_function("encode its outputs", |b| b.iter(|| core::encode(&effects)));

    let stored = core::stored();
    criterion.bench_function("write 500 customers", |b| b.iter(|| core::write_snapshot(&stored)));
    criterion.bench_function("restore 500 customers", |b| b.iter(|| core::restore(&stored)));
}

criterion_group!(benches, steps);
criterion_main!(benches);
