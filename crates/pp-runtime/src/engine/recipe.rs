//! How a result is made again that lay at a node which was lost.
//!
//! While a result lies at a node, its job keeps what it was made of: the function, the arguments,
//! and how its inputs were made as far as these lie at nodes, too. It does not keep those
//! inputs themselves, or nothing in a long chain of jobs would ever be given up.

use std::sync::{Arc, Weak};

use pp_core::ShareId;

use super::asked::Asked;
use super::functions::Function;
use super::job::Job;
use crate::blob::Blob;
use crate::segments::Parcel;
use crate::sync::Mutex;

/// The longest chain of results that all lie at nodes. The next one comes here, so that no loss
/// makes more than these to be made again.
pub(super) const DEPTH_MAX: u32 = 32;

/// Arguments of so many bytes are kept in any case.
const SMALL: u64 = 1 << 20;

/// How a result was made.
#[derive(Debug)]
pub(super) struct Recipe {
    function: Arc<Function>,
    args: Blob,
    /// What was asked for the job, without what it depended on.
    asked: Asked,
    inputs: Vec<Input>,
    depth: u32,
    /// Bytes that are kept here for it.
    weight: u64,
    /// The share of the group that the job was of.
    share: ShareId,
    /// The last job that has made it again, if anybody still needs that.
    latest: Mutex<Weak<Job>>,
}

/// A job whose result was an argument.
#[derive(Debug)]
enum Input {
    /// Its result is here.
    Here(Arc<Job>),
    /// It was at a node.
    Away { job: Weak<Job>, recipe: Arc<Recipe> },
}

impl Recipe {
    /// How the result was made of a job that has ended: of these arguments, and with this that
    /// was asked for it.
    pub(super) fn new(
        function: &Arc<Function>,
        share: ShareId,
        args: Blob,
        asked: Option<Asked>,
    ) -> Self {
        let asked = asked.unwrap_or_default();
        let depth = depth_of(&asked.inputs);
        let inputs: Vec<Input> = asked.inputs.iter().map(Input::new).collect();
        let own = Parcel::weight(&args) as u64;
        let weight = inputs
            .iter()
            .fold(own, |sum, input| sum.saturating_add(input.weight()));
        Self {
            function: Arc::clone(function),
            args,
            asked: Asked {
                after: Vec::new(),
                inputs: Vec::new(),
                ..asked
            },
            inputs,
            depth,
            weight,
            share,
            latest: Mutex::default(),
        }
    }

    /// The last job that has made it again, if anybody still needs that.
    pub(super) fn latest(&self) -> Option<Arc<Job>> {
        self.latest.lock().upgrade()
    }

    pub(super) fn set_latest(&self, job: &Arc<Job>) {
        *self.latest.lock() = Arc::downgrade(job);
    }

    /// Whether keeping it takes much more than keeping the result, which has so many bytes.
    pub(super) fn outweighs(&self, result: u64) -> bool {
        self.weight > result.saturating_mul(2).saturating_add(SMALL)
    }

    pub(super) fn share(&self) -> ShareId {
        self.share
    }

    pub(super) fn function(&self) -> &Arc<Function> {
        &self.function
    }

    pub(super) fn args(&self) -> &Blob {
        &self.args
    }

    /// What is asked for a job that makes it anew. `remake` gives the job that has, or makes
    /// anew, the result of an input that nobody has kept.
    pub(super) fn asked(&self, remake: &mut dyn FnMut(&Arc<Self>) -> Arc<Job>) -> Asked {
        let inputs = self.inputs.iter().map(|input| match input {
            Input::Here(job) => Arc::clone(job),
            Input::Away { job, recipe } => job.upgrade().unwrap_or_else(|| remake(recipe)),
        });
        let inputs = inputs.collect();
        Asked {
            inputs,
            ..self.asked.clone()
        }
    }
}

impl Input {
    fn weight(&self) -> u64 {
        match self {
            Self::Here(job) => job.result_weight(),
            Self::Away { recipe, .. } => recipe.weight,
        }
    }

    fn new(job: &Arc<Job>) -> Self {
        match job.recipe() {
            Some(recipe) => Self::Away {
                job: Arc::downgrade(job),
                recipe,
            },
            None => Self::Here(Arc::clone(job)),
        }
    }
}

/// How many results in a row lie at nodes if that of a job with these inputs does, too.
pub(super) fn depth_of(inputs: &[Arc<Job>]) -> u32 {
    let depths = inputs.iter().filter_map(|input| input.recipe());
    1 + depths.map(|recipe| recipe.depth).max().unwrap_or(0)
}
