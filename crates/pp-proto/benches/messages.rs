//! What a small job and its result cost on the way, per message: `cargo bench -p pp-proto`.

use divan::counter::ItemsCount;
use divan::{Bencher, black_box};
use pp_proto::limits::FRAME_MAX;
use pp_proto::{FrameDecoder, FromExecutor, Payload, Status, ToExecutor};

/// Messages in one batch, as many as a worker is sent ahead at its best.
const BATCH: u64 = 256;

/// As long as a pickled tuple of one small int, and as large arguments usually are.
const SIZES: [usize; 3] = [16, 256, 4096];

fn main() {
    divan::main();
}

fn job(job: u64, args: &[u8]) -> ToExecutor<'_> {
    ToExecutor::Job {
        job: 1_000_000 + job,
        ticket: job,
        function: 3,
        args: Payload::of(args),
    }
}

fn result(job: u64, body: &[u8]) -> FromExecutor<'_> {
    FromExecutor::Result {
        job: 1_000_000 + job,
        status: Status::Value,
        run_ns: 350,
        worker: 0,
        attempts: 0,
        output_len: 0,
        errors_len: 0,
        body: Payload::of(body),
    }
}

#[divan::bench(args = SIZES)]
fn encode_jobs(bencher: Bencher<'_, '_>, size: usize) {
    let (bytes, mut out) = (vec![1; size], Vec::new());
    bencher.counter(ItemsCount::new(BATCH)).bench_local(|| {
        out.clear();
        for number in 0..BATCH {
            drop(black_box(job(number, &bytes)).encode(&mut out));
        }
        black_box(out.len())
    });
}

#[divan::bench(args = SIZES)]
fn encode_results(bencher: Bencher<'_, '_>, size: usize) {
    let (bytes, mut out) = (vec![1; size], Vec::new());
    bencher.counter(ItemsCount::new(BATCH)).bench_local(|| {
        out.clear();
        for number in 0..BATCH {
            drop(black_box(result(number, &bytes)).encode(&mut out));
        }
        black_box(out.len())
    });
}

#[divan::bench(args = SIZES)]
fn decode_jobs(bencher: Bencher<'_, '_>, size: usize) {
    let (bytes, mut batch) = (vec![1; size], Vec::new());
    for number in 0..BATCH {
        drop(job(number, &bytes).encode(&mut batch));
    }
    let mut decoder = FrameDecoder::new(FRAME_MAX);
    bencher.counter(ItemsCount::new(BATCH)).bench_local(|| {
        let mut input = black_box(batch.as_slice());
        while let Ok(Some(body)) = decoder.next(&mut input) {
            let _ = black_box(ToExecutor::decode(body));
        }
    });
}

#[divan::bench(args = SIZES)]
fn decode_results(bencher: Bencher<'_, '_>, size: usize) {
    let (bytes, mut batch) = (vec![1; size], Vec::new());
    for number in 0..BATCH {
        drop(result(number, &bytes).encode(&mut batch));
    }
    let mut decoder = FrameDecoder::new(FRAME_MAX);
    bencher.counter(ItemsCount::new(BATCH)).bench_local(|| {
        let mut input = black_box(batch.as_slice());
        while let Ok(Some(body)) = decoder.next(&mut input) {
            let _ = black_box(FromExecutor::decode(body));
        }
    });
}
