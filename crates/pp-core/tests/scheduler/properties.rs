//! Random sequences of events against the model.

use proptest::prelude::*;

use crate::choices::random_config;
use crate::env::Env;
use crate::ops::Op;
use crate::rng::Rng;

/// Like [`Op::random`], in a form that proptest can shrink.
fn any_op() -> impl Strategy<Value = Op> {
    prop_oneof![
        9 => any::<(u8, u8)>().prop_map(|(function, count)| Op::Submit { function, count }),
        8 => any::<(u8, u8, u32)>().prop_map(|(function, count, terms)| {
            Op::SubmitWith { function, count, terms }
        }),
        2 => any::<u8>().prop_map(Op::Stop),
        3 => any::<(u8, u32)>().prop_map(|(worker, number)| Op::Raise { worker, number }),
        2 => any::<(u8, u32)>().prop_map(|(worker, number)| Op::Fail { worker, number }),
        1 => any::<(u8, u8, u8)>()
            .prop_map(|(share, weight, limit)| Op::SetShare { share, weight, limit }),
        1 => any::<u32>().prop_map(Op::SetSupply),
        1 => Just(Op::EndHopeless),
        4 => any::<u8>().prop_map(Op::Begin),
        14 => any::<(u8, u32)>().prop_map(|(worker, number)| Op::Finish { worker, number }),
        5 => any::<(u8, u8)>().prop_map(|(worker, credit)| Op::Ready { worker, credit }),
        2 => any::<u8>().prop_map(Op::FailStart),
        3 => any::<(u8, bool)>().prop_map(|(worker, begin)| Op::Die { worker, begin }),
        2 => any::<u8>().prop_map(Op::Exit),
        2 => any::<u8>().prop_map(Op::Resize),
        3 => any::<u16>().prop_map(Op::Cancel),
        2 => any::<u16>().prop_map(Op::Withdraw),
        4 => any::<u8>().prop_map(Op::Answer),
        2 => any::<(u8, u8)>().prop_map(|(worker, job)| Op::SetAside { worker, job }),
        2 => any::<u8>().prop_map(Op::Resume),
        1 => any::<(u8, u8)>().prop_map(|(worker, credit)| Op::Credit { worker, credit }),
        4 => any::<u32>().prop_map(Op::Advance),
        1 => any::<u8>().prop_map(Op::Hold),
        1 => any::<u8>().prop_map(Op::Forget),
        1 => any::<(u8, u16)>().prop_map(|(worker, job)| Op::Nonsense { worker, job }),
    ]
}

fn check_run(seed: u64, answers_at_once: bool, workers: u32, ops: &[Op], destroys: bool) {
    let mut env = Env::new(random_config(&mut Rng::new(seed)));
    env.answers_at_once = answers_at_once;
    env.resize(workers);
    env.make_ready();
    for &op in ops {
        env.apply(op);
    }
    if destroys {
        env.destroy();
    }
    env.finale();
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    #[test]
    fn any_sequence_of_events_ends_every_job_once(
        seed in any::<u64>(),
        answers_at_once in any::<bool>(),
        workers in 0_u32..5,
        ops in prop::collection::vec(any_op(), 1..200),
        destroys in any::<bool>(),
    ) {
        check_run(seed, answers_at_once, workers, &ops, destroys);
    }
}

/// Long runs from one seed each. A failure prints its seed; `PP_SEED` repeats that
/// run alone, and `PP_WALKS` sets how many runs there are.
#[test]
fn random_walk() {
    let number = |name| {
        std::env::var(name)
            .ok()
            .and_then(|text| text.parse::<u64>().ok())
    };
    let seeds = match number("PP_SEED") {
        Some(seed) => seed..seed + 1,
        None => 0..number("PP_WALKS").unwrap_or(40),
    };
    for seed in seeds {
        println!("PP_SEED={seed}");
        let mut rng = Rng::new(seed);
        let mut env = Env::new(random_config(&mut rng));
        env.answers_at_once = rng.below(2) == 0;
        env.resize(3);
        for _ in 0..1_500 {
            env.apply(Op::random(&mut rng));
        }
        env.finale();
    }
}
