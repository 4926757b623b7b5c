//! Functions travel once, and can be forgotten.

use pp_core::Effect;

use crate::env::{Env, F, G, us};

#[test]
fn a_function_is_sent_once_to_each_executor() {
    let (mut env, workers) = Env::ready(2);
    env.submit_many(F, 20);
    env.run(workers[0], us(3));
    env.run(workers[1], us(3));
    let effects = env.effects();
    let sent = effects
        .iter()
        .filter(|effect| matches!(effect, Effect::SendFunction { .. }));
    assert_eq!(sent.count(), 2);
}

#[test]
fn a_function_in_use_is_not_forgotten() {
    let (mut env, workers) = Env::ready(1);
    env.submit_many(F, 2);
    assert_eq!(env.scheduler.function_in_use(F), 2);
    assert!(!env.forget(F));
    env.run(workers[0], us(3));
    assert_eq!(env.scheduler.function_in_use(F), 1);
    assert!(!env.forget(F));
    env.run(workers[0], us(3));
    assert!(env.forget(F));
    assert_eq!(env.scheduler.function_in_use(F), 0);
    assert!(!env.forget(F), "it is forgotten");
}

#[test]
fn those_that_hold_it_forget_it_and_get_it_again() {
    let (mut env, workers) = Env::ready(2);
    env.measure(F, us(3)).measure(G, us(3));
    assert!(env.forget(F));
    let holder = workers[1];
    assert_eq!(
        env.effects(),
        [Effect::Forget {
            executor: holder,
            function: F
        }]
    );
    let job = env.submit(F);
    assert_eq!(
        env.effects(),
        [
            Effect::SendFunction {
                executor: holder,
                function: F
            },
            Effect::Send {
                executor: holder,
                job
            }
        ]
    );
}

#[test]
fn a_forgotten_function_has_to_be_measured_again() {
    let (mut env, workers) = Env::ready(1);
    env.measure(F, us(3));
    env.forget(F);
    env.submit_many(F, 3);
    assert_eq!(env.held(workers[0]).len(), 1);
}
