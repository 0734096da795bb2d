//! The scheduler's rules, as named invariants: over every small graph with every script, over random large ones, and
//! through the engine with many workers under a random seed.
//!
//! A [`Case`](case::Case) is a graph with a script for each job; [`drive`](drive::drive) plays it to its end without
//! thread or clock, asking at each step a naive [`Model`](model::Model) as well, and writes down what happened; the
//! [`invariants`] are held against that. [`converging`] does the like with the whole engine and jobs that have
//! [`bodies`].

mod bodies;
mod case;
mod choices;
mod converging;
mod drive;
mod invariants;
mod large;
mod model;
mod small;
